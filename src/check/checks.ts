/** The order of the checks: what later ones rest on comes first. */
import { gpgKeyId } from '../settings/gpg.ts';
import type { Settings } from '../settings/settings.ts';
import type { Store } from '../store/store.ts';
import { probeBackups } from './backup-probe.ts';
import { probeCodec } from './codec-probe.ts';
import { probeCrypt } from './crypt-probe.ts';
import { type Finding, failure, ok } from './finding.ts';
import { probeServer } from './server-probe.ts';
import { probeSpace } from './space.ts';
import { probeStore } from './store-probe.ts';

export interface CheckOptions {
  /** Hours. */
  readonly maxBackupAge: number;
  readonly withoutPostgres: boolean;
}

/** The part of a command's context that is checked. */
export interface CheckSubject {
  readonly settings: Settings;
  readonly signal: AbortSignal;
  openStore(): Promise<Store>;
}

export async function* runChecks(options: CheckOptions, subject: CheckSubject): AsyncGenerator<Finding> {
  const { settings, signal } = subject;
  const store = await openStore(subject);
  yield store.finding;
  if (store.opened !== undefined) yield* storeChecks(store.opened, options, signal);
  yield await probeCodec(signal);
  yield await probeCrypt(gpgKeyId(settings), signal);
  if (!options.withoutPostgres) yield* probeServer(settings, signal);
}

async function openStore(subject: CheckSubject): Promise<{ finding: Finding; opened?: Store }> {
  try {
    const opened = await subject.openStore();
    return { finding: ok('configuration', `the archive is ${opened.url}`), opened };
  } catch (error) {
    subject.signal.throwIfAborted();
    return { finding: failure('configuration', error, 'See docs/configuration.md.') };
  }
}

async function* storeChecks(store: Store, { maxBackupAge }: CheckOptions, signal: AbortSignal) {
  yield* probeStore(store, signal);
  yield await probeBackups(store, maxBackupAge, signal);
  const space = await storeSpace(store);
  if (space !== undefined) yield space;
}

function storeSpace({ url }: Store): Promise<Finding | undefined> {
  const path = /^file:\/\/localhost(\/.*)$/.exec(url)?.[1];
  if (path === undefined) return Promise.resolve(undefined);
  return probeSpace(
    'free space (archive)',
    path,
    'Make room, or delete old backups: "wal-e delete retain N".',
  );
}
