/** A server of a life: primary, standby or copy. One whose recovery ended since its wal-fetch was killed is started again. */
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { poll } from '../harness/poll.ts';
import type { Cluster } from '../harness/postgres.ts';

/** An archiver that failed three times in a row pauses for a minute. */
const LIMIT_MS = 600_000;

/** What is said when restore_command was killed: itself, below a shell, or in the moment when it was about to be gpg. */
const KILLED =
  /could not restore file .* from archive: child process (was terminated by signal 9|exited with exit code 137)|gpg was ended by SIGKILL/;

export class Member {
  readonly cluster: Cluster;
  /** Removed with it. */
  readonly #folder: string | undefined;
  #environment: Readonly<Record<string, string>> = {};
  #logged = 0;

  constructor(cluster: Cluster, folder?: string) {
    this.cluster = cluster;
    this.#folder = folder;
  }

  async start(environment: Readonly<Record<string, string>> = this.#environment): Promise<void> {
    this.#environment = environment;
    for (;;) {
      this.#logged = existsSync(this.cluster.logFile) ? statSync(this.cluster.logFile).size : 0;
      try {
        await this.cluster.start({ environment, limitMs: LIMIT_MS });
        return;
      } catch (error) {
        if (!KILLED.test(this.#newLog())) throw error;
        // It may be about to end.
        await this.cluster.stop('immediate');
      }
    }
  }

  /** Until it holds, however often the server has to be started again. */
  async until(what: string, holds: (cluster: Cluster) => Promise<boolean>): Promise<void> {
    const ask = async () => {
      if (!this.cluster.isRunning()) {
        if (!KILLED.test(this.#newLog())) throw new Error(`waiting for ${what}: ended\n${this.#newLog()}`);
        await this.start();
      }
      try {
        return await holds(this.cluster);
      } catch (error) {
        if (!isPassing(error)) throw error;
        return false;
      }
    };
    await poll(what, ask, LIMIT_MS).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.#newLog().slice(-3000)}`);
    });
  }

  /** Ends the recovery of a standby, or one that is paused at its target. */
  async promote(what: 'standby' | 'paused'): Promise<void> {
    await this.until('the promotion', async (cluster) => {
      if ((await cluster.value('select pg_is_in_recovery()')) === 'f') return true;
      try {
        await (what === 'standby' ? promoteStandby(cluster) : resume(cluster));
      } catch (error) {
        // It has ended meanwhile.
        if (!(error instanceof Error && error.message.includes('recovery is not in progress'))) throw error;
      }
      return false;
    });
  }

  async dispose(): Promise<void> {
    await this.cluster.dispose();
    if (this.#folder !== undefined)
      await rm(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** Since the last start. */
  #newLog(): string {
    const { logFile } = this.cluster;
    const bytes = Buffer.alloc(Math.max(statSync(logFile).size - this.#logged, 0));
    const file = openSync(logFile, 'r');
    try {
      readSync(file, bytes, 0, bytes.length, this.#logged);
    } finally {
      closeSync(file);
    }
    return bytes.toString();
  }
}

async function resume(cluster: Cluster): Promise<void> {
  if ((await cluster.value('select pg_is_wal_replay_paused()')) === 't')
    await cluster.query('select pg_wal_replay_resume()');
}

async function promoteStandby(cluster: Cluster): Promise<void> {
  if (cluster.version >= 12) return void (await cluster.query('select pg_promote(false)'));
  writeFileSync(join(cluster.dataDirectory, 'promote'), '');
  process.kill(cluster.pid(), 'SIGUSR1');
}

/** The server starts, ends, or cannot be reached. */
function isPassing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const refused = error instanceof Error && /Connection terminated|Connection ended/.test(error.message);
  return refused || /^(57P0\d|ECONNREFUSED|ECONNRESET|ENOENT|EPIPE)$/.test(code);
}

/** The new timeline of a server that was promoted: its number, and its history file. */
export async function timelineOf({ cluster }: Member): Promise<{ timeline: number; history: string }> {
  const segment = await cluster.value('select pg_walfile_name(pg_current_wal_lsn())');
  const digits = segment.slice(0, 8);
  const history = readFileSync(join(cluster.walDirectory, `${digits}.history`), 'utf8');
  return { timeline: Number.parseInt(digits, 16), history };
}
