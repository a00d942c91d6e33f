/**
 * The WAL verbs as PostgreSQL runs them, each call a process, beside `node -e 0`, the least that a program on Node can
 * take; and many segments beside one lzop process for all of them, which keeps nothing, syncs nothing.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compare, figure, type Measure, megabytes, requirement, title } from './compare.ts';
import { cached } from './data.ts';
import { type Cost, costOfProcess } from './timing.ts';
import { MANY, startS3, Workplace } from './workplace.ts';

const ROUNDS = 21;
const MOST_RESIDENT_MB = 120;
const NODE = { name: 'node -e 0', run: () => costOfProcess([process.execPath, '-e', '0']) };

export async function run(): Promise<void> {
  const folder = cached('wal-work');
  rmSync(folder, { recursive: true, force: true });
  const place = await Workplace.create(folder);
  const server = await startS3();
  try {
    // The first start makes the code cache.
    place.wale(['version']);
    title(`one call of wal-e, beside node -e 0 (Node ${process.version})`);
    await singles(place);
    await singlesOnS3(place, server.environment);
    await many(place);
    memory(place);
  } finally {
    server.child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function beside(
  work: string,
  ours: () => Cost,
  atMost: number,
  measures: readonly Measure[] = ['wall', 'cpu'],
): Promise<void> {
  await compare({
    work,
    ours: { name: 'ours', run: ours },
    beside: NODE,
    rounds: ROUNDS,
    target: { atMost },
    measures,
  });
}

async function singles(place: Workplace): Promise<void> {
  await beside('version', () => place.wale(['version']), 1.3);
  place.emptyArchive();
  place.wale(['wal-push', place.segment(0)]);
  const pushed = () => place.wale(['wal-push', place.segment(1)]);
  await beside('wal-push, already pushed as a neighbour', pushed, 1.4);
  const push = () => {
    place.emptyArchive();
    return place.wale(['wal-push', '-p', '1', place.segment(0)]);
  };
  await beside('wal-push of 16 MB, file store', push, 2);
  const target = join(place.folder, 'fetched');
  const fetch = () => place.fetch(target, ['-p', '0']);
  await beside('wal-fetch of 16 MB, file store', fetch, 1.8, ['wall']);
  place.checkFetched(target);
  await beside('wal-fetch of a prefetched segment', () => place.fetchPrefetched(target), 1.5, ['wall']);
}

async function singlesOnS3(place: Workplace, s3: Record<string, string>): Promise<void> {
  // An object that is there is compared, not stored: each round has a prefix of its own.
  let round = 0;
  const options = () => ({ env: { ...s3, WALE_S3_PREFIX: `${s3.WALE_S3_PREFIX}/${round}` } });
  const push = () => {
    round += 1;
    return place.wale(['wal-push', '-p', '1', place.segment(0)], options());
  };
  await beside('wal-push of 16 MB, S3 on loopback', push, 2.8, ['wall']);
  const target = join(place.folder, 'fetched');
  const fetch = () => place.fetch(target, ['-p', '0'], options());
  await beside('wal-fetch of 16 MB, S3 on loopback', fetch, 2.6, ['wall']);
  place.checkFetched(target);
}

async function many(place: Workplace): Promise<void> {
  title('many segments, beside one lzop process for the same bytes');
  const paths = place.names.map((name) => join(place.walDirectory, name));
  await compare({
    work: `${MANY} ready segments by one call, file store`,
    ours: {
      name: 'ours',
      run: () => {
        place.emptyArchive();
        place.forgetPushed();
        return place.wale(['wal-push', place.segment(0)]);
      },
    },
    beside: { name: 'lzop', run: () => costOfProcess(['lzop', '-c', ...paths]) },
    rounds: 5,
    target: { atMost: 0.7 },
    measures: ['wall'],
    bytes: MANY * 16 * 1024 * 1024,
  });
  const archived = readdirSync(join(place.archive, 'wal_005')).length;
  requirement('segments in the archive after it', String(archived), archived === MANY, `= ${MANY}`);
}

function memory(place: Workplace): void {
  for (const [words, work] of [
    [['wal-push', '-p', '1', place.segment(0)], 'one segment'],
    [['wal-push', place.segment(0)], `${MANY} segments by one call`],
  ] as const) {
    place.emptyArchive();
    place.forgetPushed();
    const resident = place.peakMegabytes(words);
    figure(`resident memory, wal-push, ${work}`, resident, MOST_RESIDENT_MB, megabytes);
  }
}
