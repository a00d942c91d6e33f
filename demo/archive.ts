/** The archive of the demonstration: S3 when the environment says so, else a folder; its settings lie in an envdir. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from '../test/harness/account.ts';
import type { Cluster } from '../test/harness/postgres.ts';
import { nodeFolder, stageProgram } from '../test/harness/staging.ts';
import { command, result } from './narrator.ts';

export interface Archive {
  readonly url: string;
  readonly envdir: string;
  /** Runs wal-e as the server's user and shows what it says; throws when it fails. */
  run(args: readonly string[], server?: Cluster): Promise<void>;
  /** Deletes everything in it. */
  remove(): Promise<void>;
}

const SETTINGS = /^(WALE_S3_|AWS_|NODE_EXTRA_CA_CERTS$|https?_proxy$|no_proxy$)/i;

export function demoArchive(
  scratch: string,
  account: Account,
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Archive {
  const s3 = environment.WALE_S3_PREFIX;
  // A prefix of its own below the one that was given: what is there is never touched.
  const url =
    s3 === undefined || s3 === ''
      ? `file://localhost${join(scratch, 'archive')}`
      : `${s3.replace(/\/+$/, '')}/wal-e-demo-${randomBytes(4).toString('hex')}`;
  if (url.startsWith('file:')) {
    mkdirSync(join(scratch, 'archive'), { mode: 0o700 });
    give(join(scratch, 'archive'), account);
  }
  const envdir = join(scratch, 'env');
  const variables = settings(url, environment);
  mkdirSync(envdir, { mode: 0o700 });
  for (const [name, value] of Object.entries(variables)) {
    writeFileSync(join(envdir, name), `${value}\n`, { mode: 0o600 });
    give(join(envdir, name), account);
  }
  give(envdir, account);
  const run = (args: readonly string[], call: Pick<Call, 'server' | 'signal'>) =>
    wale(['--envdir', envdir, ...args], { account, scratch, ...call });
  return {
    url,
    envdir,
    run: (args, server) => run(args, { server, signal }),
    remove: async () => {
      if (!url.startsWith('s3:')) return;
      await run(['delete', '--confirm', 'everything'], { server: undefined, signal: undefined });
    },
  };
}

function settings(
  url: string,
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  if (url.startsWith('file:')) return { WALE_FILE_PREFIX: url, WALE_LOG_DESTINATION: 'stderr' };
  const given = Object.entries(environment).flatMap(([name, value]) =>
    SETTINGS.test(name) && value !== undefined ? [[name, value] as const] : [],
  );
  return { ...Object.fromEntries(given), WALE_S3_PREFIX: url, WALE_LOG_DESTINATION: 'stderr' };
}

interface Call {
  readonly account: Account;
  readonly scratch: string;
  readonly server: Cluster | undefined;
  /** Ends it; undefined for the cleaning up, which is not shown either. */
  readonly signal: AbortSignal | undefined;
}

async function wale(args: readonly string[], { account, scratch, server, signal }: Call): Promise<void> {
  signal?.throwIfAborted();
  if (signal !== undefined) command(`wal-e ${args.map(shown).join(' ')}`);
  const child = spawn(join(nodeFolder(), 'node'), [stageProgram(), ...args], {
    cwd: scratch,
    env: { PATH: `${nodeFolder()}:/usr/bin:/bin`, HOME: scratch, ...server?.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(process.getuid?.() === 0 ? { uid: account.uid, gid: account.gid } : {}),
  });
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  let log = '';
  child.stderr.on('data', (bytes: Buffer) => {
    log += bytes.toString();
  });
  const end = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', end);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  signal?.removeEventListener('abort', end);
  signal?.throwIfAborted();
  if (status !== 0) throw new Error(`wal-e ${args.join(' ')} exited ${status}:\n${log}`);
  if (signal !== undefined) result(said === '' ? lastLine(log) : said);
}

/** Of the log: the last message and its detail. */
function lastLine(log: string): string {
  const messages = [...log.matchAll(/MSG: (.*)\n(?: +DETAIL: (.*)\n)?/g)];
  const [, message = '', detail = ''] = messages.at(-1) ?? [];
  return `${message}. ${detail}`;
}

function shown(word: string): string {
  return /^[\w@+=:,./-]+$/.test(word) ? word : `'${word}'`;
}

function give(path: string, account: Account): void {
  if (process.getuid?.() === 0) chownSync(path, account.uid, account.gid);
}
