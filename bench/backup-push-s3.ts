/** `wal-e backup-push` to the suite's S3 server on loopback, in a process of its own, beside the same to a file store. */
import { mkdirSync, rmSync } from 'node:fs';
import { bytesOf, cluster2 } from './cluster.ts';
import { compare, title } from './compare.ts';
import { cached } from './data.ts';
import { compareResident, peakOf } from './resident.ts';
import { type Cost, costOfProcess } from './timing.ts';
import { PROGRAM, startS3 } from './workplace.ts';

const ROUNDS = 5;

const archive = cached('archive');
const common = { PATH: process.env.PATH ?? '', WALE_LOG_DESTINATION: 'stderr' };
const file = { ...common, WALE_FILE_PREFIX: `file://localhost${archive}` };

export async function run(): Promise<void> {
  const cluster = await cluster2();
  const server = await startS3();
  let round = 0;
  /** A prefix that is empty. */
  const s3 = () => {
    round += 1;
    return {
      ...common,
      ...server.environment,
      WALE_S3_PREFIX: `${server.environment.WALE_S3_PREFIX}/${round}`,
    };
  };
  try {
    title('backup-push: S3 on loopback beside a file store, throughput of files');
    await compare({
      work: 'backup-push of 2 GB, S3 on loopback',
      ours: { name: 'S3', run: () => push(cluster, s3()) },
      beside: { name: 'file store', run: () => pushToFile(cluster) },
      rounds: ROUNDS,
      target: { atLeast: 0.7 },
      measures: ['wall'],
      bytes: bytesOf(cluster),
    });
    await compareResident('backup-push to S3', (folder) => peakOf(pushCommand(folder), s3()));
  } finally {
    server.child.kill();
    rmSync(archive, { recursive: true, force: true });
  }
}

function pushCommand(cluster: string): string[] {
  return [process.execPath, PROGRAM, '--terse', 'backup-push', '--while-offline', '--with-config', cluster];
}

function push(cluster: string, env: Readonly<Record<string, string>>): Cost {
  return costOfProcess(pushCommand(cluster), { env });
}

function pushToFile(cluster: string): Cost {
  rmSync(archive, { recursive: true, force: true });
  mkdirSync(archive);
  return push(cluster, file);
}
