/** Free space where running out of it stops PostgreSQL or the archive. */
import { statfs } from 'node:fs/promises';
import { type Finding, failed, ok, warning } from './finding.ts';

const WARNING_PART = 0.1;
const FAILED_PART = 0.03;

/** `what` is named in the message; undefined when the path is not on this machine. */
export async function probeSpace(name: string, path: string, remedy: string): Promise<Finding | undefined> {
  const stat = await statfs(path).catch(() => undefined);
  if (stat === undefined || stat.blocks === 0) return undefined;
  return spaceFinding(
    name,
    path,
    { free: stat.bavail * stat.bsize, total: stat.blocks * stat.bsize },
    remedy,
  );
}

export interface Space {
  /** Bytes. */
  readonly free: number;
  readonly total: number;
}

export function spaceFinding(name: string, path: string, { free, total }: Space, remedy: string): Finding {
  const part = free / total;
  const message = `${inGigabytes(free)} of ${inGigabytes(total)} free (${Math.floor(part * 100)} %) at ${path}`;
  if (part < FAILED_PART) return failed(name, message, remedy);
  return part < WARNING_PART ? warning(name, message, remedy) : ok(name, message);
}

function inGigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
