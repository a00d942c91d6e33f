/**
 * Random lives of databases, on a file store and on S3 behind a way that spoils requests, for as long as
 * WALE_SOAK_MINUTES says: whatever a kept backup leads to can be restored, to the row. WALE_TEST_SEED makes the choices,
 * though not the moments, the same again.
 */
import { chmodSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { canMount, mountSmall } from '../harness/mount.ts';
import { seededRandom } from '../harness/random.ts';
import { createFaultProxy } from '../harness/s3/fault-proxy.ts';
import { randomFaults } from '../harness/s3/random-faults.ts';
import { createS3Server, TEST_BUCKET } from '../harness/s3/server.ts';
import { testEnvironment } from '../harness/s3/store.ts';
import { createScratch } from '../harness/scratch.ts';
import { disturbCalls } from './calls.ts';
import { chooseKind, describeKind } from './kind.ts';
import * as life from './life.ts';
import { Servers, type Surroundings } from './servers.ts';
import { failOver, haveStandby, promoteStandby, recoverAll } from './succession.ts';

const SEED = Number(process.env.WALE_TEST_SEED ?? Date.now() % 1_000_000);
const MINUTES = Number(process.env.WALE_SOAK_MINUTES ?? 10);
/** Then another one begins, with the next seed. */
const LIFE_MINUTES = 4;
const SMALL_BYTES = 1024 ** 3;

const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

interface Archive extends Pick<Surroundings, 'environment' | 'small'> {
  /** Nothing reaches it until the promise is settled. */
  readonly isolate?: (until: Promise<unknown>) => Promise<void>;
}

async function live(seed: number, minutes: number, archive: Archive): Promise<void> {
  const random = seededRandom(seed);
  const began = performance.now();
  const say = (what: string) => {
    process.stdout.write(`${((performance.now() - began) / 1000).toFixed(1).padStart(8)} s  ${what}\n`);
  };
  const kind = chooseKind(random);
  say(`seed ${seed}: ${describeKind(kind)}`);
  const servers = await Servers.begin({ ...archive, kind, random, say });
  const killer = new AbortController();
  // Chances of its own: its moments must not change what the life chooses.
  const killing = disturbCalls(seededRandom(seed + 1), killer.signal);
  const outage = async () => {
    const over = archive.isolate?.(delay(500 + random() * 8000));
    await (random() < 0.5 ? servers.backUp() : life.comeBack(servers));
    await over;
  };
  try {
    const events = [
      ['write', 4, () => life.write(servers)],
      ['back up', 3, () => servers.backUp()],
      ['back up the stopped server', 0.5, () => life.backUpOffline(servers)],
      ['copy by hand', 0.5, () => life.recoverCopyByHand(servers)],
      ['crash', 1, () => life.loseServer(servers)],
      ['delete', 1, () => life.deleteOld(servers)],
      ['delete beside a backup', 1, () => life.deleteBesideBackup(servers)],
      ['verify', 1, () => servers.keeper.verify()],
      ['come back', 4, () => life.comeBack(servers)],
      ['fail over', 1, () => failOver(servers)],
      ['recover all', 0.5, () => recoverAll(servers)],
      ['standby', 2, () => haveStandby(servers)],
      ['promote', 1, () => promoteStandby(servers)],
      ['no room', 0.5, () => life.haveNoRoom(servers)],
      ['outage', 0.5, outage],
    ] as const;
    const lots = events.flatMap((event) => Array.from({ length: event[1] * 2 }, () => event));
    while (performance.now() - began < minutes * 60_000) {
      const [name, , happen] = lots[Math.floor(random() * lots.length)] ?? events[0];
      say(name);
      await happen();
    }
    await life.comeBack(servers);
    expect(servers.returns).toBeGreaterThan(0);
  } finally {
    killer.abort();
    await killing;
    await servers.end();
  }
}

async function liveOneAfterTheOther(place: (seed: number) => Archive): Promise<void> {
  const end = performance.now() + MINUTES * 60_000;
  for (let seed = SEED; performance.now() < end; seed += 1) {
    const minutes = Math.min(LIFE_MINUTES, (end - performance.now()) / 60_000);
    await live(seed, minutes, place(seed));
  }
}

it('can be restored to every moment that a kept backup leads to, from files', async () => {
  const isSmall = canMount();
  await liveOneAfterTheOther(() => {
    const archive = createScratch();
    if (isSmall) mountSmall(archive, SMALL_BYTES);
    chmodSync(archive, 0o777);
    const environment = { WALE_FILE_PREFIX: `file://localhost${archive}` };
    return { environment, small: isSmall ? archive : undefined };
  });
});

it('can be restored to every moment that a kept backup leads to, from S3 through a bad network', async () => {
  const server = await createS3Server();
  opened.push(server);
  const faults = randomFaults(seededRandom(SEED), 0.03);
  const proxy = await createFaultProxy(server.url, faults);
  opened.push(proxy);
  const isolate = async (until: Promise<unknown>) => {
    proxy.plan = () => ({ kind: 'reset-before' });
    await until;
    proxy.plan = faults;
  };
  await liveOneAfterTheOther((seed) => {
    const environment = { ...testEnvironment(proxy.url), WALE_S3_PREFIX: `s3://${TEST_BUCKET}/life-${seed}` };
    return { environment, small: undefined, isolate };
  });
});
