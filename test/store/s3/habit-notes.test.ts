import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { readS3Settings } from '../../../src/settings/s3.ts';
import { createHabitNotes, type HabitNotes } from '../../../src/store/s3/habit-notes.ts';
import { createScratch } from '../../harness/scratch.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-21T12:00:00Z');
const ADDRESS = 'https+path://store.example:9000/bucket';

let folder: string;
let file: string;
beforeEach(() => {
  folder = join(createScratch(), '.wal-e');
  file = join(folder, 'conditional-put');
});

function notes(now = NOW, endpoint = 'https://store.example:9000', bucket = 'bucket'): HabitNotes {
  const settings = readS3Settings(`s3://${bucket}/prefix`, { WALE_S3_ENDPOINT: endpoint }, {});
  return createHabitNotes({ folder, settings, now: () => now });
}

describe('a note', () => {
  it('is read as it was written, by everybody who uses the same bucket at the same address', () => {
    for (const habit of ['honours', 'ignores', 'refuses'] as const) {
      notes().write(habit);
      expect(notes().read()).toBe(habit);
    }
    expect(notes(NOW, 'https://store.example:9001').read()).toBeUndefined();
    expect(notes(NOW, 'http://store.example:9000').read()).toBeUndefined();
    expect(notes(NOW, 'https+subdomain://store.example:9000').read()).toBeUndefined();
    expect(notes(NOW, 'https://store.example:9000', 'other').read()).toBeUndefined();
  });

  it('is one line of a file that only its user can read and write, in a folder of the same kind', () => {
    notes().write('honours');
    expect(readFileSync(file, 'utf8')).toBe(`honours 2026-11-21T12:00:00.000Z ${ADDRESS}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(folder)).toEqual(['conditional-put']);
  });

  it('holds for a day, since another store may answer there one day', () => {
    notes().write('honours');
    expect(notes(NOW + 24 * HOUR - 1).read()).toBe('honours');
    expect(notes(NOW + 24 * HOUR).read()).toBeUndefined();
  });

  it('from the future is none: the clock was set back, and nobody knows how old it is', () => {
    notes().write('honours');
    expect(notes(NOW - 1).read()).toBeUndefined();
  });

  it('stands beside those of other stores; those that are too old go', () => {
    notes(NOW - 25 * HOUR, 'https://old.example').write('honours');
    notes(NOW, 'https://other.example').write('ignores');
    notes().write('refuses');
    expect(notes(NOW, 'https://other.example').read()).toBe('ignores');
    expect(readFileSync(file, 'utf8')).not.toContain('old.example');
    for (let i = 0; i < 50; i += 1) notes(NOW, `https://host-${i}.example`).write('honours');
    expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(21);
    expect(notes(NOW, 'https://host-49.example').read()).toBe('honours');
  });

  it('of AWS is never made: nothing has to be found out', () => {
    const settings = readS3Settings('s3://bucket/prefix', {}, {});
    createHabitNotes({ folder, settings }).write('honours');
    expect(existsSync(folder)).toBe(false);
  });
});

describe('what cannot be trusted is no note', () => {
  const LINE = `honours 2026-11-21T12:00:00.000Z ${ADDRESS}\n`;
  const given = (text: string | Buffer) => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, text, { mode: 0o600 });
  };

  it.each([
    ['nothing', ''],
    ['a line that was torn', LINE.slice(0, 60)],
    ['another word', LINE.replace('honours', 'always')],
    ['no time', LINE.replace(/ 20\S+/, '')],
    ['a time that is none', LINE.replace('2026-11-21', '2026-99-21')],
    ['more behind it', LINE.replace('\n', ' x\n')],
    ['bytes of anything', Buffer.alloc(100_000, 7)],
  ])('%s', (_, text) => {
    given(text);
    expect(notes().read()).toBeUndefined();
    notes().write('ignores');
    expect(notes().read()).toBe('ignores');
  });

  it('a line is believed when it is whole (so that what follows means something)', () => {
    given(LINE);
    expect(notes().read()).toBe('honours');
  });

  it('a file that others may write to', () => {
    given(LINE);
    chmodSync(file, 0o620);
    expect(notes().read()).toBeUndefined();
  });

  it.runIf(process.geteuid?.() === 0)('a file of another user', () => {
    given(LINE);
    chownSync(file, 1234, 1234);
    expect(notes().read()).toBeUndefined();
  });

  it('a symbolic link, a folder', () => {
    given(LINE);
    const elsewhere = join(folder, 'elsewhere');
    writeFileSync(elsewhere, LINE, { mode: 0o600 });
    rmSync(file);
    symlinkSync(elsewhere, file);
    expect(notes().read()).toBeUndefined();
    rmSync(file);
    mkdirSync(file);
    expect(notes().read()).toBeUndefined();
  });
});

describe('where no note can be written, nothing happens', () => {
  it('there is no folder around it', () => {
    folder = join(folder, 'not', 'there');
    notes().write('honours');
    expect(existsSync(folder)).toBe(false);
  });

  it('a file is where the folder would be', () => {
    writeFileSync(folder, 'in the way');
    notes().write('honours');
    expect(notes().read()).toBeUndefined();
    expect(readFileSync(folder, 'utf8')).toBe('in the way');
  });

  it('a folder is where the note would be; nothing is left beside it', () => {
    mkdirSync(file, { recursive: true });
    notes().write('honours');
    expect(readdirSync(folder)).toEqual(['conditional-put']);
  });

  it.runIf(process.geteuid?.() === 0)(
    "the folder around it is another user's, whom ours would be in the way of",
    () => {
      chownSync(join(folder, '..'), 1234, 1234);
      notes().write('honours');
      expect(existsSync(folder)).toBe(false);
    },
  );
});
