/** What a segment costs on stores of every habit, by the program as archive_command starts it: one process a segment. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runProgram } from '../harness/program.ts';
import { AMAZON, type Habits } from '../harness/s3/habits.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';

const SEGMENT_BYTES = 1024 * 1024;
const PREFIX = `s3://${TEST_BUCKET}/some/prefix`;

let server: S3Server;
let walDirectory: string;
beforeAll(async () => {
  server = await createS3Server();
});
afterAll(() => server.close());
beforeEach(() => {
  walDirectory = join(createScratch(), 'pg_wal');
  mkdirSync(join(walDirectory, 'archive_status'), { recursive: true });
  for (const key of server.bucket.keys()) server.bucket.delete(key);
});

const segment = (number: number) => `00000001000000000000000${number}`;
const keyOf = (number: number) => `some/prefix/wal_005/${segment(number)}.lzo`;

/** Method and status of all that was asked for one wal-push. */
async function push(number: number, seed = 1, environment: Record<string, string> = {}) {
  const path = join(walDirectory, segment(number));
  writeFileSync(path, segmentBytes(segment(number), SEGMENT_BYTES, seed));
  server.forgetLog();
  const settings = { ...testEnvironment(server.url), WALE_S3_PREFIX: PREFIX, ...environment };
  const { status, stderr } = await runProgram(['wal-push', path], { environment: settings });
  const asked = server.log.map((line) => line.replace(/^(\S+).* (\d+)$/, '$1 $2'));
  return { status, stderr, asked };
}

const stored = (number: number) => Buffer.concat(server.bucket.get(keyOf(number))?.body ?? []);

describe('the first segment shows what the store does, all others profit', () => {
  const cases: [Habits['conditionalPut'], string[], string[]][] = [
    ['honoured', ['HEAD 404', 'PUT 200', 'PUT 412'], ['PUT 200']],
    ['ignored', ['HEAD 404', 'PUT 200', 'PUT 200'], ['HEAD 404', 'PUT 200']],
    [501, ['HEAD 404', 'PUT 501', 'PUT 200'], ['HEAD 404', 'PUT 200']],
    [400, ['HEAD 404', 'PUT 400', 'PUT 200'], ['HEAD 404', 'PUT 200']],
  ];
  it.each(cases)('If-None-Match is %s', async (conditionalPut, first, others) => {
    server.habits = { ...AMAZON, conditionalPut };
    expect(await push(1)).toMatchObject({ status: 0, asked: first });
    for (const number of [2, 3]) expect(await push(number)).toMatchObject({ status: 0, asked: others });
    const before = stored(2);
    // PostgreSQL asks again after a crash; another server archives its own content under the same name.
    expect(await push(2)).toMatchObject({ status: 0 });
    const other = await push(2, 99);
    expect(other.status).toBe(1);
    expect(other.stderr).toContain('the archive holds another content under this name');
    expect(stored(2).equals(before)).toBe(true);
  });

  it.each(['ignored', 'honoured'] as const)(
    'a content that is there already is safe in the very first call (%s)',
    async (conditionalPut) => {
      server.habits = { ...AMAZON, conditionalPut };
      await push(1, 1, { WALE_S3_CONDITIONAL_PUT: 'false' });
      const before = stored(1);
      expect(await push(1, 99)).toMatchObject({ status: 1, asked: ['HEAD 200', 'GET 200'] });
      expect(stored(1).equals(before)).toBe(true);
    },
  );
});

describe('the note', () => {
  const note = () => join(walDirectory, '.wal-e', 'conditional-put');

  it('is among the notes of the server, and is not believed when it is old', async () => {
    server.habits = AMAZON;
    await push(1);
    const text = readFileSync(note(), 'utf8');
    expect(text).toContain(`http+path://127.0.0.1:${server.port}/${TEST_BUCKET}`);
    const yesterday = new Date(Date.now() - 25 * 3_600_000).toISOString();
    writeFileSync(note(), text.replace(/ \S+ /, ` ${yesterday} `), { mode: 0o600 });
    expect((await push(2)).asked).toEqual(['HEAD 404', 'PUT 200', 'PUT 412']);
    expect((await push(3)).asked).toEqual(['PUT 200']);
  });

  it('that cannot be written costs requests, never a segment', async () => {
    server.habits = AMAZON;
    writeFileSync(join(walDirectory, '.wal-e'), 'in the way');
    for (const number of [1, 2]) {
      const { status, asked, stderr } = await push(number);
      expect({ status, asked }).toEqual({ status: 0, asked: ['HEAD 404', 'PUT 200', 'PUT 412'] });
      expect(stderr).not.toMatch(/WARNING|ERROR/);
    }
  });
});
