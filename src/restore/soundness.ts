/** What a restored directory must hold before a server may start on it. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, UserError } from '../errors.ts';
import { STAGED_CONTROL_FILE } from '../postgres/cluster-contents.ts';
import { type ControlData, parseControlData } from '../postgres/control-data.ts';
import { ifThere } from './if-there.ts';
import type { Plan } from './plan.ts';

const CONTROL_FILE_BYTES = 8192;
const VERSION_FILE_BYTES = 64;

/** Throws DataError unless the control file, the label and PG_VERSION are there; gives the text of the latter. */
export async function checkRestored(plan: Plan): Promise<string> {
  await checkLabel(plan, await readStagedControl(plan));
  return readVersion(plan);
}

/** undefined for a version whose control file we do not know: archives of the original reach further back than we do. */
async function readStagedControl({ backup, target }: Plan): Promise<ControlData | undefined> {
  const bytes = await beginning(join(target.directory, STAGED_CONTROL_FILE), CONTROL_FILE_BYTES);
  if (bytes === undefined)
    throw new DataError('the base backup holds no global/pg_control', {
      detail: `The parts of "${backup.name}" are all there, and none holds it.`,
      hint: 'A server cannot be started from it: restore another backup.',
    });
  try {
    return parseControlData(bytes);
  } catch (error) {
    if (error instanceof DataError || !(error instanceof UserError)) throw error;
    return undefined;
  }
}

/** Without its label a backup of a running server would start from the wrong checkpoint, and be damaged silently. */
async function checkLabel(
  { backup, sentinel, target }: Plan,
  control: ControlData | undefined,
): Promise<void> {
  const label = await beginning(join(target.directory, 'backup_label'), 1);
  const wasStopped = control?.state === 'shut down' || control?.state === 'shut down in recovery';
  if (label !== undefined || (wasStopped && sentinel.own?.offline !== false)) return;
  throw new DataError('the base backup holds no backup_label', {
    detail: `"${backup.name}" was taken of a running server (its control file says "${control?.state ?? 'nothing'}"), and without the label it would be damaged silently.`,
    hint: 'Restore another backup.',
  });
}

async function readVersion({ backup, target }: Plan): Promise<string> {
  const bytes = await beginning(join(target.directory, 'PG_VERSION'), VERSION_FILE_BYTES);
  const text = bytes?.toString('latin1').trim() ?? '';
  if (/^\d{1,3}(\.\d{1,2})?$/.test(text)) return text;
  throw new DataError('the base backup holds no PG_VERSION', {
    detail: `In "${backup.name}" it is ${bytes === undefined ? 'missing' : 'not the number of a version'}.`,
    hint: 'A server cannot be started from it: restore another backup.',
  });
}

/** At most so many bytes; undefined when the file is not there. */
async function beginning(path: string, length: number): Promise<Buffer | undefined> {
  const file = await ifThere(() => open(path, 'r'));
  if (file === undefined) return undefined;
  try {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
