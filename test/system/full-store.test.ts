/** wal-push into an object store that has no room: the file store's part of it is in crowded-archive.test.ts. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Key, partKey, sentinelKey, versionKey, walKey } from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { followingSegments } from '../../src/postgres/segment.ts';
import { backupOf, segmentAt } from '../archive/backups.ts';
import { logEntries, runProgram } from '../harness/program.ts';
import { CEPH } from '../harness/s3/habits.ts';
import { createS3Server, type S3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { openTestStore, testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { segmentBytes } from '../harness/segment.ts';
import { addWaiting } from '../harness/waiting.ts';

const MB = 1024 * 1024;
const NAMED = '000000010000000000000001';
const NEIGHBOURS = followingSegments(NAMED, 2, MB);
const ALL = [NAMED, ...NEIGHBOURS];
const GIVEN_UP = 'given up, to leave the room in the archive to the file that was asked for';
const QUOTA = '<Error><Code>QuotaExceeded</Code></Error>';

let server: S3Server;
let pgWal: string;
beforeEach(async () => {
  server = await createS3Server({ habits: CEPH });
  pgWal = join(createScratch(), 'pg_wal');
  for (const [index, name] of ALL.entries()) addWaiting(pgWal, name, segmentBytes(name, MB, index));
});
afterEach(() => server.close());

const environment = () => ({
  ...testEnvironment(server.url),
  WALE_S3_PREFIX: `s3://${TEST_BUCKET}/main`,
  WALE_S3_CONDITIONAL_PUT: 'true',
});
const push = (...options: string[]) =>
  runProgram(['wal-push', ...options, join(pgWal, NAMED)], { environment: environment() });
const keyOf = (name: string) => `main/${walKey(name)}`;
const waiting = () => readdirSync(join(pgWal, 'archive_status')).sort();
const putsOf = (name: string) =>
  server.log.filter((line) => line.startsWith('PUT') && line.includes(name)).length;

/** Puts of these names are answered with the store's word that it is full, as often as that is given. */
function refuse(times: Readonly<Record<string, number>>): void {
  const left = new Map(Object.entries(times));
  server.intercept = ({ method, key }) => {
    const name = ALL.find((one) => key === keyOf(one)) ?? '';
    const count = left.get(name) ?? 0;
    if (method !== 'PUT' || count === 0) return undefined;
    left.set(name, count - 1);
    return { status: 403, body: [Buffer.from(QUOTA)] };
  };
}

/** A backup in segment `start`, and its WAL. */
async function addBackup(start: number): Promise<void> {
  const store = openTestStore(server.url, { prefix: 'main' });
  const { name, reading } = backupOf({ start, at: Date.now() - (10 - start) * 60_000, system: '7' });
  if (reading.kind !== 'read') throw new Error('no sentinel');
  const objects: readonly [Key, string][] = [
    [versionKey(name), 'PostgreSQL 18'],
    [partKey(name, 0), 'x'.repeat(100)],
    [sentinelKey(name), writeSentinel(reading.sentinel)],
    [walKey(segmentAt(1, start)), 'x'],
  ];
  for (const [key, text] of objects) {
    const signal = new AbortController().signal;
    await store.put(key, [Buffer.from(text)], { createOnly: true, contentType: 'text/plain', signal });
  }
  await store.close();
}

describe('delete, where the bucket is full', () => {
  it('makes room', async () => {
    for (const start of [3, 6]) await addBackup(start);
    const before = server.bucket.used();
    server.quota = 0;
    const { status, stderr } = await runProgram(['delete', '--confirm', 'retain', '1'], {
      environment: environment(),
    });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('MSG: could not note in the store what is going to be deleted');
    expect(server.bucket.used()).toBeLessThan(before);
    expect(server.bucket.get(keyOf(segmentAt(1, 3)))).toBeUndefined();
    expect(server.bucket.get(keyOf(segmentAt(1, 6)))).toBeDefined();
  });
});

describe('wal-push, where the bucket is full', () => {
  it('fails at once, says what is full, what to do and that nothing is lost, and leaves all of it to PostgreSQL', async () => {
    server.quota = 1000;
    const { status, stderr } = await push('--mark-done');
    expect(status, stderr).toBe(1);
    const failure = logEntries(stderr).find(({ level }) => level === 'ERROR');
    expect(failure?.message).toBe('the store is full');
    expect(failure?.detail).toMatch(
      new RegExp(`^PUT s3://.*${NAMED}.lzo was answered with 403 QuotaExceeded`),
    );
    expect(failure?.hint).toBe(
      'Raise the quota of the bucket or of its owner, or add room to the store. ' +
        '"wal-e delete" removes backups and WAL that are not needed any more. ' +
        'Nothing is lost: PostgreSQL keeps its WAL and asks again, as long as pg_wal has room.',
    );
    expect(stderr).not.toContain('trying again');
    // With its neighbours, and once more alone.
    expect(putsOf(NAMED)).toBe(2);
    expect(server.bucket.keys()).toEqual([]);
    expect(waiting()).toEqual(ALL.map((name) => `${name}.ready`));
    server.quota = Number.POSITIVE_INFINITY;
    expect((await push('--mark-done')).status).toBe(0);
    expect(server.bucket.keys()).toEqual(ALL.map(keyOf));
  });

  it('stores the named segment where only its neighbours find no room, and marks none of these', async () => {
    refuse(Object.fromEntries(NEIGHBOURS.map((name) => [name, 9])));
    const { status, stderr } = await push('--mark-done');
    expect(status, stderr).toBe(0);
    expect(server.bucket.keys()).toEqual([keyOf(NAMED)]);
    expect(waiting()).toEqual(ALL.map((name) => `${name}.ready`));
    expect(existsSync(join(pgWal, '.wal-e', 'pushed'))).toBe(false);
    for (const name of NEIGHBOURS) expect(putsOf(name)).toBeLessThan(2);
  });

  it('tries the named segment once more, alone, when it is the one that finds no room', async () => {
    refuse({ [NAMED]: 1 });
    const { status, stderr } = await push();
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('MSG: the archive has no room for the segment and its neighbours');
    expect(stderr).toContain(`${NAMED} is tried once more, alone. PUT s3://`);
    expect(server.bucket.get(keyOf(NAMED))).toBeDefined();
    for (const name of NEIGHBOURS) {
      const isStored = server.bucket.get(keyOf(name)) !== undefined;
      expect(isStored || stderr.includes(`${name}: ${GIVEN_UP}`) || putsOf(name) === 0).toBe(true);
    }
  });

  it('succeeds for a segment that is there already', async () => {
    expect((await push('--pool-size=1')).status).toBe(0);
    server.quota = 0;
    const { status, stderr } = await push('--pool-size=1');
    expect(status, stderr).toBe(0);
    expect(stderr).toContain('MSG: the file was archived before');
  });
});
