/**
 * Syslog, by util-linux' logger: Node cannot send to a unix datagram socket. One child for each command, started with the
 * first record; what it was given is safe in its pipe even when the program ends at once. Nothing here can fail the
 * command, and without /dev/log nothing happens at all.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { formatJson, formatText, type Level, type LogRecord, type Sink } from '../log.ts';
import { FACILITIES } from '../settings/log.ts';

/** RFC 5424, table 2. */
const SEVERITIES: Record<Level, number> = { INFO: 6, WARNING: 4, ERROR: 3, CRITICAL: 2 };
/** How long the end of the program may be held up by a logger that does not read. */
const CLOSE_MS = 250;

export interface SyslogOptions {
  readonly facility: string;
  readonly format: 'text' | 'json';
  readonly path: string | undefined;
  /** The socket whose presence says that there is a syslog. */
  readonly socket?: string;
}

export interface SyslogSink extends Sink {
  /** Resolves when the records are with the logger, or after a short while. */
  close(): Promise<void>;
}

export function createSyslogSink(options: SyslogOptions): SyslogSink {
  const { socket = '/dev/log' } = options;
  let usable: boolean | undefined;
  let started: Promise<ChildProcess> | undefined;
  return {
    write(record) {
      usable ??= existsSync(socket);
      if (!usable) return;
      started ??= startLogger(record.pid, options);
      const line = syslogLine(record, options);
      started = started.then((child) => {
        child.stdin?.write(line);
        return child;
      });
    },
    async close() {
      const child = await started?.catch(() => undefined);
      if (child !== undefined) await ended(child);
    },
  };
}

/** `<PRI>` in front, as `logger --prio-prefix` takes it; a record is one line, since logger sends line by line. */
export function syslogLine(record: LogRecord, { facility, format }: SyslogOptions): string {
  const text = format === 'json' ? formatJson(record) : formatText(record).replace(/\n\s*/g, ' ');
  return `<${(FACILITIES[facility] ?? 1) * 8 + SEVERITIES[record.level]}>${text}\n`;
}

async function startLogger(pid: number, { path }: SyslogOptions): Promise<ChildProcess> {
  const { spawn } = await import('node:child_process');
  const child = spawn('logger', ['--prio-prefix', '--tag', 'wal-e', `--id=${pid}`], {
    // A group of its own, so that it outlives the signals that end this program and takes its last words.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: path === undefined ? {} : { PATH: path },
  });
  child.on('error', () => child.stdin?.destroy());
  child.stdin?.on('error', () => undefined);
  child.unref();
  return child;
}

function ended({ stdin }: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (stdin === null || stdin.destroyed) return resolve();
    setTimeout(resolve, CLOSE_MS);
    stdin.once('close', resolve);
    stdin.end(resolve);
  });
}
