/** Memory of the built program on a database of 1 GB and on one of 8 GB: it must not grow with the data. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { bytesOf, cluster1, cluster8 } from './cluster.ts';
import { figure, megabytes } from './compare.ts';

const MOST_RESIDENT_MB = 300;
const LOOK_MS = 20;
/** How much more the larger one may take: threads do not start and end at the same moments twice. */
const MOST_GROWTH = 1.2;

/** `measure` takes the folder of a cluster. */
export async function compareResident(
  command: string,
  measure: (cluster: string) => Promise<number>,
): Promise<void> {
  const taken = [];
  for (const cluster of [await cluster1(), await cluster8()]) {
    const resident = await measure(cluster);
    const size = (bytesOf(cluster) / 1e9).toFixed(1);
    figure(`resident memory, ${command} of ${size} GB`, resident, MOST_RESIDENT_MB, megabytes);
    taken.push(resident);
  }
  const [smaller = 0, larger = 0] = taken;
  const growth = `${command}: memory of the larger to the smaller`;
  figure(growth, larger / smaller, MOST_GROWTH, (value) => value.toFixed(2));
}

/** The most memory, in MB, that the process ever had (VmHWM of proc(5)). Throws unless it exits 0. */
export async function peakOf(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env: environment, stdio: 'ignore' });
  let kilobytes = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      kilobytes = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? kilobytes);
    } catch {
      // It has just ended.
    }
  }, LOOK_MS);
  const status = await new Promise((resolve) => child.once('close', resolve));
  clearInterval(timer);
  if (status !== 0 || kilobytes === 0) throw new Error(`${command.join(' ')} exited ${status}`);
  return kilobytes / 1024;
}
