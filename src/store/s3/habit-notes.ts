/**
 * What stores were seen to do with `If-None-Match: *`, remembered from one process to the next: a line for each store
 * in a file among wal-push's notes. A note is a help: where it cannot be read, written or trusted, the store is asked
 * again, which is safe with every store.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { S3Settings } from '../../settings/s3.ts';

/**
 * `honours`: a put with the header does not replace an object. `ignores`: it may. `refuses`: such a put is an error
 * (501, 400) whether or not there is an object.
 */
export type Habit = 'honours' | 'ignores' | 'refuses';

export interface HabitNotes {
  /** undefined: nothing is known, or nothing that can be trusted. */
  read(): Habit | undefined;
  /** Never fails. */
  write(habit: Habit): void;
}

export interface HabitNotesOptions {
  /** Made if it is not there; undefined: nothing is remembered. */
  readonly folder: string | undefined;
  readonly settings: Pick<S3Settings, 'bucket' | 'endpoint'>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Another store may answer at the same address one day. */
const MOST_AGE_MS = 24 * 3_600_000;
const FILE = 'conditional-put';
const MOST_BYTES = 8192;
const MOST_LINES = 20;
const LINE = /^(honours|ignores|refuses) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\S{1,400})$/;

export function createHabitNotes({ folder, settings, now = Date.now }: HabitNotesOptions): HabitNotes {
  const address = addressOf(settings);
  if (folder === undefined || address === undefined) return { read: () => undefined, write: () => undefined };
  const path = join(folder, FILE);
  return {
    read: () => lines(path, now()).find((line) => line.address === address)?.habit,
    write(habit) {
      const others = lines(path, now()).filter((line) => line.address !== address);
      const line = { habit, at: new Date(now()).toISOString(), address };
      const kept = [...others.slice(1 - MOST_LINES), line];
      replace(folder, path, kept.map((one) => `${one.habit} ${one.at} ${one.address}\n`).join(''));
    },
  };
}

/** undefined for AWS, of which nothing has to be found out. */
function addressOf({ bucket, endpoint }: HabitNotesOptions['settings']): string | undefined {
  if (endpoint === undefined) return undefined;
  const { protocol, style, host, port } = endpoint;
  return `${protocol}+${style}://${host}:${port}/${bucket}`;
}

interface Line {
  readonly habit: Habit;
  readonly at: string;
  readonly address: string;
}

/** Those that hold: whole, and not older than a day by a clock that has not been set back since. */
function lines(path: string, now: number): Line[] {
  return readOwn(path)
    .split('\n')
    .flatMap((text) => {
      const [, habit, at = '', address = ''] = LINE.exec(text) ?? [];
      const age = now - Date.parse(at);
      if (habit !== 'honours' && habit !== 'ignores' && habit !== 'refuses') return [];
      return age >= 0 && age < MOST_AGE_MS ? [{ habit, at, address }] : [];
    });
}

/** Empty when it is not a file of this user's that nobody else may write to. */
function readOwn(path: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { uid, mode } = fstatSync(file);
    const isOwn = uid === process.geteuid?.() && (mode & 0o022) === 0;
    if (!isOwn) return '';
    const bytes = Buffer.alloc(MOST_BYTES);
    return bytes.toString('utf8', 0, readSync(file, bytes));
  } catch {
    return '';
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Only where everything around is this user's: a folder that root made would keep the server's user from its notes. Two
 * at once may tear what they write; then it is no note.
 */
function replace(folder: string, path: string, text: string): void {
  const temporary = `${path}.new`;
  try {
    if (statSync(dirname(folder)).uid !== process.geteuid?.()) return;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(temporary, text, { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    removeQuietly(temporary);
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // It is not there, or it is the next one's.
  }
}
