/** PostgreSQL archives to S3 and a standby follows from it, while the way there loses, stalls and spoils requests at random. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { walKey } from '../../src/archive/layout.ts';
import { decodeLzop } from '../../src/codec/decoder.ts';
import {
  copyAsStandby,
  createPrimary,
  fingerprint,
  LOG_TO_SERVER,
  load,
  switchSegment,
  untilArchived,
} from '../harness/archiving.ts';
import { poll } from '../harness/poll.ts';
import { seededRandom } from '../harness/random.ts';
import { type Bucket, md5 } from '../harness/s3/bucket.ts';
import { createFaultProxy } from '../harness/s3/fault-proxy.ts';
import { AMAZON } from '../harness/s3/habits.ts';
import { randomFaults } from '../harness/s3/random-faults.ts';
import { createS3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { openTestStore, testEnvironment } from '../harness/s3/store.ts';
import { NEWEST_POSTGRES, stageProgram } from '../harness/staging.ts';

const SEED = Number(process.env.WALE_TEST_SEED ?? 20_261_121);
const SHARE = 0.25;
const opened: { dispose(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0)) await one.dispose();
});

it.each([
  ['honoured', 5],
  ['ignored', 3],
] as const)(
  'no segment is lost, none is stored twice with different content, the standby catches up, where If-None-Match is %s',
  async (conditionalPut, rounds) => {
    process.stdout.write(`faults by seed ${SEED}\n`);
    const server = await createS3Server({ habits: { ...AMAZON, conditionalPut } });
    const contents = recordContents(server.bucket);
    const proxy = await createFaultProxy(server.url, randomFaults(seededRandom(SEED), SHARE));
    const store = openTestStore(server.url);
    opened.push({
      async dispose() {
        await store.close();
        await proxy.close();
        await server.close();
      },
    });
    const environment = {
      ...LOG_TO_SERVER,
      ...testEnvironment(proxy.url),
      HTTPS_PROXY: '',
      AWS_CA_BUNDLE: '',
    };
    const command = (words: string) =>
      `${stageProgram()} --s3-prefix=s3://${TEST_BUCKET}/some/prefix ${words}`;

    const primary = await createPrimary({
      version: NEWEST_POSTGRES,
      segmentMb: 1,
      archive: { command },
      pushWords: 'wal-push -p 4 %p',
      // What PostgreSQL wrote stays, to compare with.
      settings: { wal_keep_size: '1GB' },
    });
    opened.unshift(primary);
    await primary.start({ environment });
    await load(primary, 1, 1);
    await primary.stop();
    const standby = await copyAsStandby(primary, command('wal-fetch -p 4 %f %p'), {
      wal_retrieve_retry_interval: '200ms',
    });
    opened.unshift(standby);
    await primary.start({ environment });
    await standby.start({ environment });

    for (let round = 2; round <= rounds; round += 1) {
      await load(primary, round, 3);
      await switchSegment(primary);
    }
    const last = await switchSegment(primary);
    await untilArchived(primary, last);
    const expected = await fingerprint(primary);
    await poll(
      'the standby to have what the primary has',
      async () => (await fingerprint(standby)) === expected,
    );

    expect(proxy.done.faults).toBeGreaterThan(10);
    await expectWhole(last);

    /** Every segment from the first to the last is there once, and is what PostgreSQL wrote. */
    async function expectWhole(end: string): Promise<void> {
      const signal = new AbortController().signal;
      const names: string[] = [];
      for await (const page of store.list('wal_005/', { signal })) {
        names.push(...page.map(({ key }) => key.slice('wal_005/'.length, -'.lzo'.length)));
      }
      const segments = names.filter((name) => /^[0-9A-F]{24}$/.test(name));
      const numbers = segments.map((name) => Number.parseInt(name.slice(8, 16) + name.slice(21), 16));
      expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] ?? 0) + i));
      expect(segments).toContain(end);
      for (const name of segments) {
        const object = await store.get(walKey(name), { signal });
        const plain = [];
        for await (const chunk of decodeLzop(object?.body ?? empty())) plain.push(chunk);
        const original = await readFile(join(primary.walDirectory, name));
        expect(Buffer.concat(plain).equals(original), name).toBe(true);
        expect(contents.get(`some/prefix/${walKey(name)}`)?.size, name).toBe(1);
      }
      // Where the header is honoured, nothing is stored twice at all.
      const puts = server.log.filter((line) => /^PUT .* 200$/.test(line));
      if (conditionalPut === 'honoured') expect(new Set(puts).size).toBe(puts.length);
      expect(server.bucket.uploads.size).toBe(0);
    }
  },
);

/** All the contents that each object has ever had, by their checksums. */
function recordContents(bucket: Bucket): ReadonlyMap<string, Set<string>> {
  const contents = new Map<string, Set<string>>();
  const set = bucket.set.bind(bucket);
  bucket.set = (key, object) => {
    const known = contents.get(key) ?? new Set();
    contents.set(key, known.add(md5(object.body)));
    set(key, object);
  };
  return contents;
}

async function* empty(): AsyncGenerator<Uint8Array> {}
