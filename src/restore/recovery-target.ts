/** Where recovery is to stop: `--target-time`, `--target-lsn`, `--target-name`, `--target-timeline`. */
import { UsageError } from '../errors.ts';
import { formatLsn, parseLsn } from '../postgres/segment.ts';

export interface RecoveryTarget {
  readonly time: TargetTime | undefined;
  /** Besides a name: where that restore point was found. */
  readonly lsn: bigint | undefined;
  readonly name: string | undefined;
  /** A number, or what PostgreSQL means by the words. */
  readonly timeline: number | 'latest' | 'current';
}

export interface TargetTime {
  /** As PostgreSQL reads it whatever its time zone: `2026-11-21 08:00:00.123456+00`. */
  readonly text: string;
  /** To the millisecond, rounded down. */
  readonly date: Date;
}

export interface TargetOptions {
  readonly targetTime: string | undefined;
  readonly targetLsn: string | undefined;
  readonly targetName: string | undefined;
  readonly targetTimeline: string | undefined;
}

const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?) ?(Z|[+-]\d\d(?::?\d\d)?)$/i;
const MAX_NAME_BYTES = 63;

/** Throws UsageError. */
export function parseTarget(options: TargetOptions): RecoveryTarget {
  const given = [options.targetTime, options.targetLsn, options.targetName].filter(
    (text) => text !== undefined,
  );
  if (given.length > 1)
    throw new UsageError('give one of --target-time, --target-lsn and --target-name, not several');
  return {
    time: options.targetTime === undefined ? undefined : parseTime(options.targetTime),
    lsn: options.targetLsn === undefined ? undefined : lsnOf(options.targetLsn),
    name: options.targetName === undefined ? undefined : nameOf(options.targetName),
    timeline: options.targetTimeline === undefined ? 'latest' : timelineOf(options.targetTimeline),
  };
}

/** Whether recovery is to stop before the end of the WAL. */
export function stopsEarly({ time, lsn, name }: RecoveryTarget): boolean {
  return time !== undefined || lsn !== undefined || name !== undefined;
}

/** For messages; undefined when recovery goes to the end. */
export function describeTarget({ time, lsn, name }: RecoveryTarget): string | undefined {
  if (time !== undefined) return `the time ${time.text}`;
  const at = lsn === undefined ? undefined : `the LSN ${formatLsn(lsn)}`;
  if (name === undefined) return at;
  return `the restore point "${name}"${at === undefined ? '' : ` (${at})`}`;
}

/** A time without a zone would mean whatever the server's time zone is: it is refused. */
export function parseTime(text: string): TargetTime {
  const [, day, clock, zone] = TIME.exec(text.trim()) ?? [];
  if (day === undefined || clock === undefined || zone === undefined) throw badTime(text);
  const offset = zone.toUpperCase() === 'Z' ? '+00' : zone;
  const seconds = clock.length === 5 ? `${clock}:00` : clock;
  const [sign, hours, minutes] = [
    offset.slice(0, 1),
    offset.slice(1, 3),
    offset.slice(3).replace(':', '') || '00',
  ];
  const [whole = '', fraction = ''] = seconds.split('.');
  const date = new Date(`${day}T${whole}.${fraction.slice(0, 3).padEnd(3, '0')}${sign}${hours}:${minutes}`);
  // Date takes 30 February for 2 March.
  const midnight = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || Number.isNaN(midnight.getTime())) throw badTime(text);
  if (!midnight.toISOString().startsWith(day)) throw badTime(text);
  return { text: `${day} ${seconds}${sign}${hours}${minutes === '00' ? '' : `:${minutes}`}`, date };
}

function badTime(text: string): UsageError {
  return new UsageError(`--target-time ${text}: not a time with a time zone`, {
    hint: 'Write it as 2026-11-21T08:00:00Z or "2026-11-21 09:00:00+01".',
  });
}

function lsnOf(text: string): bigint {
  const lsn = parseLsn(text);
  if (lsn === undefined)
    throw new UsageError(`--target-lsn ${text}: not an LSN`, { hint: 'Write it as 16/B374D848.' });
  return lsn;
}

function nameOf(text: string): string {
  if (text === '' || Buffer.byteLength(text) > MAX_NAME_BYTES || /[\0\n\r]/.test(text))
    throw new UsageError('--target-name is not the name of a restore point', {
      hint: `It is one line of at most ${MAX_NAME_BYTES} bytes.`,
    });
  return text;
}

function timelineOf(text: string): number | 'latest' | 'current' {
  if (text === 'latest' || text === 'current') return text;
  const number = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= 0xffff_ffff) return number;
  throw new UsageError(`--target-timeline ${text}: not a timeline`, {
    hint: 'Give its number, latest or current.',
  });
}
