/** PostgreSQL archives to S3 and a standby follows from it, while the way there loses, stalls and spoils requests at random. */
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
import { createFaultProxy, type Fault, type Plan } from '../harness/s3/fault-proxy.ts';
import { createS3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { openTestStore, testEnvironment } from '../harness/s3/store.ts';
import { NEWEST_POSTGRES, stageProgram } from '../harness/staging.ts';

const SEED = Number(process.env.WALE_TEST_SEED ?? 20_261_121);
const SHARE = 0.25;
const opened: { dispose(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0)) await one.dispose();
});

/** A quarter of all requests meets something; what happens is decided by the seed. */
function randomFaults(random: () => number): Plan {
  return () => {
    if (random() > SHARE) return undefined;
    const faults: Fault[] = [
      { kind: 'reset-before' },
      { kind: 'reset-after', bytes: Math.floor(random() * 300_000) },
      { kind: 'close-after', bytes: Math.floor(random() * 300_000) },
      { kind: 'answer', status: 503, code: 'SlowDown' },
      { kind: 'answer', status: 500 },
      { kind: 'alter-up', at: Math.floor(random() * 100_000) },
      { kind: 'truncate-up', bytes: Math.floor(random() * 100_000) },
      { kind: 'duplicate' },
      { kind: 'late', ms: 300 },
      { kind: 'trickle', bytes: 65_536, everyMs: 1 },
    ];
    return faults[Math.floor(random() * faults.length)];
  };
}

it('no segment is lost, none is stored twice with different content, the standby catches up', async () => {
  process.stdout.write(`faults by seed ${SEED}\n`);
  const server = await createS3Server();
  const proxy = await createFaultProxy(server.url, randomFaults(seededRandom(SEED)));
  const store = openTestStore(server.url);
  opened.push({
    async dispose() {
      await store.close();
      await proxy.close();
      await server.close();
    },
  });
  const environment = { ...LOG_TO_SERVER, ...testEnvironment(proxy.url), HTTPS_PROXY: '', AWS_CA_BUNDLE: '' };
  const command = (words: string) => `${stageProgram()} --s3-prefix=s3://${TEST_BUCKET}/some/prefix ${words}`;

  const primary = await createPrimary({
    version: NEWEST_POSTGRES,
    segmentMb: 1,
    archive: { command },
    pushWords: 'wal-push -p 4 %p',
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

  for (let round = 2; round <= 5; round += 1) {
    await load(primary, round, 3);
    await switchSegment(primary);
  }
  const last = await switchSegment(primary);
  await untilArchived(primary, last);
  const expected = await fingerprint(primary);
  await poll(
    'the standby to have what the primary has',
    async () => (await fingerprint(standby)) === expected,
    120_000,
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
      const bytes = Buffer.concat(plain);
      expect(bytes.length).toBe(1024 * 1024);
      // The page address in the first header is where the segment belongs.
      const segment = Number.parseInt(name.slice(8, 16) + name.slice(21), 16);
      expect(Number(bytes.readBigUInt64LE(8)) / bytes.length).toBe(segment);
    }
    const puts = server.log.filter((line) => /^PUT .* 200$/.test(line));
    expect(new Set(puts).size).toBe(puts.length);
    expect(server.bucket.uploads.size).toBe(0);
  }
});

async function* empty(): AsyncGenerator<Uint8Array> {}
