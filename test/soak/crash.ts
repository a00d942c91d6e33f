/** Ways in which a server is gone at once. */
import { readdirSync } from 'node:fs';
import { parentOf } from '../../src/postgres/process-tree.ts';
import type { Cluster } from '../harness/postgres.ts';

/** By its own hand, or by somebody who kills all of its processes: then its archive_command or restore_command goes on. */
export async function crash(cluster: Cluster, random: () => number): Promise<void> {
  if (random() < 0.5) return cluster.stop('immediate');
  if (!cluster.isRunning()) return;
  const postmaster = cluster.pid();
  // So that it starts no others meanwhile.
  process.kill(postmaster, 'SIGSTOP');
  for (const pid of childrenOf(postmaster)) process.kill(pid, 'SIGKILL');
  await cluster.stop('kill');
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return parentOf(pid) === parent;
      } catch {
        return false;
      }
    });
}
