/** What a life is like: its PostgreSQL, and how that archives. Chosen at random, and said. */
import { execFileSync } from 'node:child_process';
import { serverAccount } from '../harness/account.ts';
import { createKeyring, GOLDEN_KEY, hasGpg, type Keyring } from '../harness/gpg.ts';
import { NEWEST_POSTGRES, OLDEST_POSTGRES, stageProgram } from '../harness/staging.ts';

type Encryption = 'none' | 'to a key that only a restore has' | 'to a key that all have';

export interface Kind {
  readonly version: number;
  readonly segmentMb: number;
  readonly encryption: Encryption;
  readonly tablespaces: readonly string[];
  /** Words of archive_command behind the program. */
  readonly push: string;
  /** archive_mode of a standby. */
  readonly standbyArchives: 'on' | 'always';
}

export function pick<T>(random: () => number, from: readonly T[]): T | undefined {
  return from[Math.floor(random() * from.length)];
}

export function chooseKind(random: () => number): Kind {
  const version = OLDEST_POSTGRES + Math.floor(random() * (NEWEST_POSTGRES + 1 - OLDEST_POSTGRES));
  const segmentMb = version === OLDEST_POSTGRES ? 16 : (pick(random, [1, 1, 1, 4, 16, 64]) ?? 1);
  const encryptions: Encryption[] = ['none', 'to a key that only a restore has', 'to a key that all have'];
  const encryption = hasGpg() ? (pick(random, encryptions) ?? 'none') : 'none';
  const tablespaces = pick(random, [[], [], ['side'], ['side', 'other']]) ?? [];
  const push = pick(random, ['--mark-done -p 4', '--no-mark-done -p 4', '-p 1', '-p 32']) ?? '';
  // Whoever has no secret key cannot compare what he has with what another has encrypted.
  const canCompare = encryption !== 'to a key that only a restore has';
  const standbyArchives = canCompare && random() < 0.5 ? 'always' : 'on';
  return { version, segmentMb, encryption, tablespaces, push, standbyArchives };
}

export function describeKind(kind: Kind): string {
  const { version, segmentMb, encryption, tablespaces, push, standbyArchives } = kind;
  const places = tablespaces.length === 0 ? 'no' : String(tablespaces.length);
  return (
    `PostgreSQL ${version}, segments of ${segmentMb} MB, ${places} tablespaces, wal-push ${push}; ` +
    `encryption: ${encryption}; standby: archive_mode ${standbyArchives}`
  );
}

/** Settings of every server of this kind. A killed archive_command would make the archiver pause for ten seconds; a shell takes that on itself. */
export function serverSettings(kind: Kind): Readonly<Record<string, string>> {
  const megabytes = (segments: number) => `${Math.max(segments * kind.segmentMb, 2)}MB`;
  return {
    wal_level: 'replica',
    hot_standby: 'on',
    archive_mode: 'on',
    archive_command: `${stageProgram()} --terse wal-push ${kind.push} %p || exit 1`,
    archive_timeout: '2s',
    min_wal_size: megabytes(2),
    max_wal_size: megabytes(8),
    max_wal_senders: '4',
    wal_retrieve_retry_interval: '200ms',
  };
}

/** Who has which keys: an operator, a server that archives, a server that recovers. */
export interface Keys {
  readonly operator: Readonly<Record<string, string>>;
  readonly archiving: Readonly<Record<string, string>>;
  readonly recovering: Readonly<Record<string, string>>;
  dispose(): void;
}

export function createKeys({ encryption }: Kind): Keys {
  if (encryption === 'none') return { operator: {}, archiving: {}, recovering: {}, dispose: () => undefined };
  const all = encryption === 'to a key that all have';
  const rings = [createKeyring('secret'), serverKeyring(all ? 'secret' : 'public'), serverKeyring('secret')];
  const [operator = {}, archiving = {}, recovering = {}] = rings.map(({ home }) => ({
    GNUPGHOME: home,
    WALE_GPG_KEY_ID: GOLDEN_KEY,
  }));
  const dispose = () => {
    for (const ring of rings) ring.dispose();
  };
  return { operator, archiving, recovering, dispose };
}

function serverKeyring(content: 'secret' | 'public'): Keyring {
  const ring = createKeyring(content);
  // An agent of ours would not talk to the server's user.
  execFileSync('gpgconf', ['--homedir', ring.home, '--kill', 'all'], { stdio: 'ignore' });
  const { uid, gid } = serverAccount();
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${uid}:${gid}`, ring.home]);
  return ring;
}
