/**
 * Random lives of a database, on a file store and on S3 behind a way that spoils requests, for as long as
 * WALE_SOAK_MINUTES says: whatever a kept backup leads to can be restored, to the row. WALE_TEST_SEED makes the choices,
 * though not the moments, the same again.
 */
import { chmodSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { seededRandom } from '../harness/random.ts';
import { createFaultProxy } from '../harness/s3/fault-proxy.ts';
import { randomFaults } from '../harness/s3/random-faults.ts';
import { createS3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { NEWEST_POSTGRES } from '../harness/staging.ts';
import { Life } from './life.ts';

const SEED = Number(process.env.WALE_TEST_SEED ?? Date.now() % 1_000_000);
const MINUTES = Number(process.env.WALE_SOAK_MINUTES ?? 10);
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function live(environment: Readonly<Record<string, string>>): Promise<void> {
  const random = seededRandom(SEED);
  const began = performance.now();
  const say = (what: string) => {
    process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(8)} s  ${what}\n`);
  };
  say(`seed ${SEED}`);
  const life = await Life.begin({ version: NEWEST_POSTGRES, environment, random, say });
  const killer = new AbortController();
  const killing = life.killing(killer.signal);
  try {
    const events = [
      ['write', 4, () => life.write()],
      ['back up', 2, () => life.backUp()],
      ['crash', 1, () => life.crash()],
      ['delete', 1, () => life.deleteOld()],
      ['come back', 3, () => life.comeBack()],
      ['fail over', 1, () => life.failOver()],
    ] as const;
    const lots = events.flatMap((event) => Array.from({ length: event[1] }, () => event));
    while (performance.now() - began < MINUTES * 60_000) {
      const [name, , happen] = lots[Math.floor(random() * lots.length)] ?? events[0];
      say(name);
      await happen();
    }
    expect(life.timesComeBack()).toBeGreaterThan(0);
  } finally {
    killer.abort();
    await killing;
    await life.end();
  }
}

it('can be restored to every moment that a kept backup leads to, from files', async () => {
  const archive = createScratch();
  chmodSync(archive, 0o777);
  await live({ WALE_FILE_PREFIX: `file://localhost${archive}` });
});

it('can be restored to every moment that a kept backup leads to, from S3 through a bad network', async () => {
  const server = await createS3Server();
  opened.push(server);
  const proxy = await createFaultProxy(server.url, randomFaults(seededRandom(SEED), 0.03));
  opened.push(proxy);
  await live({ ...testEnvironment(proxy.url), WALE_S3_PREFIX: `s3://${TEST_BUCKET}/life` });
});
