/** Starts a production store with its script; its environment, or why there is none. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createScratch } from '../harness/scratch.ts';

const run = promisify(execFile);

export interface StartedStore {
  /** For wal-e: endpoint, keys, region and prefix. */
  readonly environment: Readonly<Record<string, string>>;
  /** What may be stored, in bytes, from now on; -1: whatever fits. */
  setQuota(bytes: number): Promise<void>;
  stop(): Promise<void>;
}

/** The script's word for "cannot be had here". */
const SKIPPED = 77;

export async function startStore(name: 'radosgw' | 'swift'): Promise<StartedStore | undefined> {
  const script = fileURLToPath(new URL(`${name}.sh`, import.meta.url));
  const folder = join(createScratch(), name);
  const setQuota = async (bytes: number) => {
    await run(script, ['quota', folder, String(bytes)]);
  };
  const stop = async () => {
    await run(script, ['stop', folder]);
  };
  try {
    const { stdout, stderr } = await run(script, ['start', folder], { maxBuffer: 1 << 26 });
    process.stdout.write(stderr);
    const pairs = stdout
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const);
    return { environment: Object.fromEntries(pairs), setQuota, stop };
  } catch (error) {
    await stop();
    if (!(error instanceof Error && 'code' in error && error.code === SKIPPED)) throw error;
    const said = 'stderr' in error ? String(error.stderr) : '';
    process.stdout.write(`SKIPPED ${name}: ${said.trim().split('\n').at(-1)}\n`);
    return undefined;
  }
}
