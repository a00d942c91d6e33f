/**
 * One gpg process as a filter. Three things go on at once (feeding, reading, the exit), and the order in which they
 * fail is not theirs to choose: a gpg that dies early breaks the pipe of the feeder, a source that fails would let gpg
 * finish a shorter message. So: the output ends well only when the source ended, gpg took all of it, and gpg exited with 0.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../errors.ts';

export interface GpgFailure {
  /** What gpg wrote to standard error, or how it ended when it wrote nothing. */
  readonly message: string;
  /** gpg's machine-readable status lines, without `[GNUPG:] ` (doc/DETAILS of GnuPG). */
  readonly status: string;
}

export interface GpgOptions {
  readonly signal: AbortSignal;
  /** Makes the error for a gpg that did not exit with 0. */
  readonly failed: (failure: GpgFailure) => UserError;
}

const MESSAGE_BYTES = 8192;
const STATUS_FD = 3;
/** gpg removes its keyring locks when it is asked to stop; it gets this long. */
const GRACE_MS = 2000;
const SOON_MS = 300;

export async function* runGpg(
  args: readonly string[],
  source: AsyncIterable<Uint8Array>,
  { signal, failed }: GpgOptions,
): AsyncGenerator<Uint8Array> {
  const watched = watch(source);
  const child = await start(args, signal).catch(async (error: unknown) => {
    await source[Symbol.asyncIterator]().return?.();
    throw error;
  });
  const exit = exitOf(child);
  const message = collect(child.stderr);
  const status = collect(child.stdio[STATUS_FD] as Readable);
  const over = new AbortController();
  // A signal of its own for each process: a pool of 32 would be too many listeners on the command's.
  const either = AbortSignal.any([signal, over.signal]);
  const feed = pipeline(watched.chunks, child.stdin, { signal: either })
    .then(() => true)
    .catch(() => false);
  const end = () => terminate(child, exit);
  either.addEventListener('abort', end);
  void watched.failure.then(end);
  try {
    for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) yield chunk;
    const problem = await exit;
    signal.throwIfAborted();
    const complete = await (problem === undefined ? feed : soon(feed));
    watched.throwIfFailed();
    if (child.signalCode !== null) {
      // What is sent to a whole group, by Ctrl-C or a server that shuts down, may be heard here a moment later.
      await soon(aborted(either));
      signal.throwIfAborted();
      throw killed(child.signalCode);
    }
    if (problem === undefined && complete === true) return;
    const text = (await soon(message)) || (problem ?? 'gpg did not read its whole input');
    throw failed({ message: text, status: ((await soon(status)) ?? '').replaceAll('[GNUPG:] ', '') });
  } finally {
    over.abort();
    await end();
    child.stdout.destroy();
    await soon(feed);
  }
}

async function start(args: readonly string[], signal: AbortSignal): Promise<ChildProcessWithoutNullStreams> {
  signal.throwIfAborted();
  const stdio = ['pipe', 'pipe', 'pipe', 'pipe'] as const;
  const child = spawn('gpg', ['--status-fd', String(STATUS_FD), ...args], { stdio: [...stdio] });
  if (child.pid !== undefined) return child;
  const cause = await new Promise<Error>((resolve) => child.once('error', resolve));
  throw new UserError('could not run one or more external programs WAL-E depends upon', {
    detail: 'Could not run the following programs, are they installed? gpg',
    hint: `Install GnuPG, or see that "gpg" is in the PATH of this command (${cause.message}).`,
    cause,
  });
}

/** The source, and whether it was the source that failed. */
function watch(source: AsyncIterable<Uint8Array>) {
  let failed: { readonly error: unknown } | undefined;
  let tell = () => {};
  const failure = new Promise<void>((resolve) => {
    tell = resolve;
  });
  async function* chunks() {
    try {
      yield* source;
    } catch (error) {
      failed = { error };
      tell();
      throw error;
    }
  }
  const throwIfFailed = () => {
    if (failed !== undefined) throw failed.error;
  };
  return { chunks: chunks(), failure, throwIfFailed };
}

/** undefined when gpg exited with 0, else how it ended. */
function exitOf(child: ChildProcessWithoutNullStreams): Promise<string | undefined> {
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code === 0 ? undefined : `gpg exited with ${code}`));
  });
}

/** What it had said by then tells nothing of keys and objects: it may have had the key and not have come to the end. */
function killed(signal: NodeJS.Signals): UserError {
  return new UserError('gpg was killed', {
    detail: `gpg was ended by ${signal}, and not by wal-e.`,
    hint: 'Try again. Where memory runs out the kernel kills programs, and says so in its log (dmesg).',
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function terminate(child: ChildProcessWithoutNullStreams, exit: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const last = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  await exit;
  clearTimeout(last);
}

/** The first bytes of a stream as text; reads on to its end, so that the writer never blocks. */
async function collect(stream: Readable): Promise<string> {
  const kept: Buffer[] = [];
  let size = 0;
  stream.on('data', (chunk: Buffer) => {
    if (size < MESSAGE_BYTES) kept.push(chunk);
    size += chunk.length;
  });
  await new Promise((resolve) => stream.once('close', resolve).once('error', resolve));
  return Buffer.concat(kept).subarray(0, MESSAGE_BYTES).toString('utf8').trim();
}

/** A source that is stuck in a read cannot be waited for; one that is not gives its files back in this time. */
async function soon<T>(work: Promise<T>): Promise<T | undefined> {
  const over = new AbortController();
  const limit = delay(SOON_MS, undefined, { signal: over.signal }).catch(() => undefined);
  const result = await Promise.race([work, limit]);
  over.abort();
  return result;
}
