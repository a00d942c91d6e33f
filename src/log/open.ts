/** The log as the environment wants it: where it goes, in which form, without the environment's secrets. */
import { createLog, type Log, type Sink } from '../log.ts';
import { logSettings } from '../settings/log.ts';
import type { Environment } from '../settings/settings.ts';
import { type Redact, redactRecord } from './redact.ts';
import { createStandardErrorSink, writeStandardError } from './standard-error.ts';
import { createSyslogSink } from './syslog.ts';

export interface OpenLog {
  readonly log: Log;
  readonly format: 'text' | 'json';
  /** Hands over what is still on its way; takes a quarter of a second at most. */
  close(): Promise<void>;
}

interface LogOpening {
  readonly terse: boolean;
  readonly redact: Redact;
}

export function openLog(environment: Environment, { terse, redact }: LogOpening): OpenLog {
  const { format, facility, complaints, ...to } = logSettings(environment);
  const syslog = to.syslog ? createSyslogSink({ facility, format, path: environment.PATH }) : undefined;
  const sinks: Sink[] = to.stderr ? [createStandardErrorSink(format)] : [];
  if (syslog !== undefined) sinks.push(syslog);
  const redacting: Sink = {
    write(record) {
      const safe = redactRecord(record, redact);
      for (const sink of sinks) sink.write(safe);
    },
  };
  for (const complaint of complaints) writeStandardError(`${complaint}\n`);
  return {
    log: createLog({ sinks: [redacting], terse, pid: process.pid, now: () => new Date() }),
    format,
    close: async () => syslog?.close(),
  };
}
