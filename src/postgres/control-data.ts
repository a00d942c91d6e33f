/**
 * Reads `global/pg_control`, the few hundred bytes that say what a cluster is and how it was shut down: from every
 * supported version, of either byte order, without PostgreSQL's programs. Trusted only when its CRC is right.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError } from '../errors.ts';
import { CONTROL_FILE } from './cluster-contents.ts';
import { type ControlLayout, controlLayout } from './control-layout.ts';
import { crc32c } from './crc32c.ts';
import { isSegmentSize } from './segment.ts';
import { VERSIONS, type Version, versionOfCatalog } from './version.ts';

/** DBState in pg_control.h, in its order. */
const STATES = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const;

export type ClusterState = (typeof STATES)[number];

/** LSNs are byte positions in the WAL; 0n where PostgreSQL has no value. */
export interface ControlData {
  readonly version: Version;
  readonly systemIdentifier: bigint;
  readonly state: ClusterState;
  /** Where the last checkpoint's record starts. */
  readonly checkPoint: bigint;
  /** Where recovery from that checkpoint starts. */
  readonly redo: bigint;
  readonly timeline: number;
  readonly minRecoveryPoint: bigint;
  readonly minRecoveryTimeline: number;
  readonly blockBytes: number;
  readonly relationSegmentBlocks: number;
  readonly segmentBytes: number;
  readonly dataChecksums: boolean;
}

const VERSION_PLACE = 8;
const READ_ATTEMPTS = 10;
const READ_PAUSE_MS = 50;

export interface ControlFile {
  /** The whole file, for the backup. */
  readonly bytes: Uint8Array;
  readonly data: ControlData;
}

/**
 * Reads the file of a data directory. A running server may be writing it, so a wrong CRC counts only when it stays
 * (as PostgreSQL's own get_controlfile does).
 */
export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  const path = join(dataDirectory, CONTROL_FILE);
  for (let attempt = 1; ; attempt += 1) {
    const bytes = await read(path);
    try {
      return { bytes, data: parseControlData(bytes) };
    } catch (error) {
      if (attempt === READ_ATTEMPTS || !(error instanceof DataError)) throw error;
    }
    await sleep(READ_PAUSE_MS);
  }
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new DataError('could not read the control file of the cluster', {
      detail: (error as Error).message,
      hint: 'Give the data directory of a PostgreSQL cluster, and run as the user who owns it.',
      cause: error,
    });
  }
}

/** Throws DataError when the bytes are not a control file or are damaged, UserError for an unknown version. */
export function parseControlData(bytes: Uint8Array): ControlData {
  if (bytes.length < 512) throw damaged(`It has ${bytes.length} bytes.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const littleEndian = byteOrder(view);
  const layout = controlLayout(view.getUint32(VERSION_PLACE, littleEndian));
  const fields = new Fields(view, layout, littleEndian);
  const crcPlace = fields.place('crc');
  const computed = crc32c(bytes.subarray(0, crcPlace));
  if (computed !== fields.uint32('crc')) {
    throw damaged(`Its CRC is ${hex(fields.uint32('crc'))}, that of its contents ${hex(computed)}.`);
  }
  return controlData(fields);
}

function byteOrder(view: DataView): boolean {
  const known = (littleEndian: boolean) => {
    const found = view.getUint32(VERSION_PLACE, littleEndian);
    return VERSIONS.some(({ controlVersion }) => controlVersion === found);
  };
  if (known(true)) return true;
  if (known(false)) return false;
  throw damaged(`It has the unknown format number ${view.getUint32(VERSION_PLACE, true)}.`);
}

function controlData(fields: Fields): ControlData {
  const state = STATES[fields.uint32('state')];
  const segmentBytes = fields.uint32('segmentBytes');
  const blockBytes = fields.uint32('blockBytes');
  if (state === undefined) throw damaged(`It has the unknown state ${fields.uint32('state')}.`);
  if (!isSegmentSize(segmentBytes)) throw damaged(`It says that WAL segments have ${segmentBytes} bytes.`);
  if (![1024, 2048, 4096, 8192, 16384, 32768].includes(blockBytes)) {
    throw damaged(`It says that blocks have ${blockBytes} bytes.`);
  }
  return {
    version: versionOfCatalog(fields.uint32('controlVersion'), fields.uint32('catalogVersion')),
    systemIdentifier: fields.uint64('systemIdentifier'),
    state,
    checkPoint: fields.uint64('checkPoint'),
    redo: fields.uint64('redo'),
    timeline: fields.uint32('timeline'),
    minRecoveryPoint: fields.uint64('minRecoveryPoint'),
    minRecoveryTimeline: fields.uint32('minRecoveryTimeline'),
    blockBytes,
    relationSegmentBlocks: fields.uint32('relationSegmentBlocks'),
    segmentBytes,
    dataChecksums: fields.uint32('dataChecksumVersion') !== 0,
  };
}

class Fields {
  readonly #view: DataView;
  readonly #layout: ControlLayout;
  readonly #littleEndian: boolean;

  constructor(view: DataView, layout: ControlLayout, littleEndian: boolean) {
    this.#view = view;
    this.#layout = layout;
    this.#littleEndian = littleEndian;
  }

  place(name: string): number {
    const place = this.#layout.get(name);
    if (place === undefined) throw new Error(`no field ${name} in this format of pg_control`);
    return place;
  }

  uint32(name: string): number {
    return this.#view.getUint32(this.place(name), this.#littleEndian);
  }

  uint64(name: string): bigint {
    return this.#view.getBigUint64(this.place(name), this.#littleEndian);
  }
}

function damaged(detail: string): DataError {
  return new DataError('the control file of the cluster is damaged', {
    detail,
    hint: 'Give the data directory of a PostgreSQL cluster; a server with a damaged control file does not start either.',
  });
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
