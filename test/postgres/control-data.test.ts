import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DataError, UserError } from '../../src/errors.ts';
import { parseControlData } from '../../src/postgres/control-data.ts';
import { controlLayout } from '../../src/postgres/control-layout.ts';
import { crc32c } from '../../src/postgres/crc32c.ts';
import { formatLsn } from '../../src/postgres/segment.ts';

const RELEASED = [10, 11, 12, 13, 14, 15, 16, 17, 18];

/** The first 512 bytes of a real file, and what the server's own pg_control_* functions said of it. */
function fixture(version: number) {
  const file = (name: string) => new URL(`../../fixtures/pg_control/${version}.${name}`, import.meta.url);
  return {
    bytes: new Uint8Array(readFileSync(file('bin'))),
    said: JSON.parse(readFileSync(file('json'), 'utf8')) as Record<string, string>,
  };
}

describe('the control file', () => {
  it.each(RELEASED)('of PostgreSQL %i reads as the server itself reads it', (version) => {
    const { bytes, said } = fixture(version);
    const data = parseControlData(bytes);
    expect(data.version.name).toBe(String(version));
    expect({
      system_identifier: String(data.systemIdentifier),
      catalog_version_no: String(data.version.catalogVersion),
      pg_control_version: String(data.version.controlVersion),
      checkpoint_lsn: formatLsn(data.checkPoint),
      redo_lsn: formatLsn(data.redo),
      timeline_id: String(data.timeline),
      min_recovery_end_lsn: formatLsn(data.minRecoveryPoint),
      min_recovery_end_timeline: String(data.minRecoveryTimeline),
      database_block_size: String(data.blockBytes),
      blocks_per_segment: String(data.relationSegmentBlocks),
      bytes_per_wal_segment: String(data.segmentBytes),
      data_page_checksum_version: data.dataChecksums ? '1' : '0',
    }).toEqual(said);
    expect(data.state).toBe('in production');
  });

  it.each(RELEASED)('of PostgreSQL %i is refused when any bit of it is flipped', (version) => {
    const { bytes } = fixture(version);
    const end = placeOfCrc(bytes) + 4;
    for (let at = 0; at < end; at += 1) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      expect(() => parseControlData(flipped), `byte ${at}`).toThrow(DataError);
    }
  });

  it('of PostgreSQL 9.6 has the older fields where pg_control.h of that version puts them', () => {
    const layout = controlLayout(960);
    // Offsets as a C compiler gives them for ControlFileData of 9.6 on x86-64.
    expect(Object.fromEntries(layout)).toMatchObject({
      checkPoint: 32,
      prevCheckPoint: 40,
      redo: 48,
      timeline: 56,
      nextXidEpoch: 68,
      checkPointTime: 104,
      unloggedLsn: 128,
      minRecoveryPoint: 136,
      minRecoveryTimeline: 144,
      floatFormat: 208,
      blockBytes: 216,
      segmentBytes: 228,
      enableIntTimes: 248,
      dataChecksumVersion: 252,
      crc: 256,
    });
    const bytes = made(960, 201608131, {
      segmentBytes: 16 << 20,
      blockBytes: 8192,
      state: 1,
      redo: 0x2000028,
    });
    expect(parseControlData(bytes)).toMatchObject({
      state: 'shut down',
      redo: 0x2000028n,
      dataChecksums: false,
    });
    expect(parseControlData(bytes).version.name).toBe('9.6');
  });

  it('is read in the byte order of the machine that wrote it', () => {
    const fields = { segmentBytes: 1 << 20, blockBytes: 8192, state: 6, redo: 0x28, timeline: 12 };
    const bytes = made(1800, 202506291, fields, false);
    expect(parseControlData(bytes)).toMatchObject({ redo: 0x28n, timeline: 12, segmentBytes: 1 << 20 });
  });

  it('of an unreleased version is refused, since its layout is not known for certain', () => {
    const fields = { segmentBytes: 1 << 20, blockBytes: 8192, state: 6 };
    expect(() => parseControlData(made(1800, 202506290, fields))).toThrow(UserError);
    expect(() => parseControlData(made(1900, 202606290, fields))).toThrow(/damaged/);
  });

  it.each([
    { segmentBytes: 3 << 20, blockBytes: 8192, state: 1 },
    { segmentBytes: 1 << 20, blockBytes: 8191, state: 1 },
    { segmentBytes: 1 << 20, blockBytes: 8192, state: 7 },
  ])('with impossible contents is refused even when its CRC is right: %o', (fields) => {
    expect(() => parseControlData(made(1300, 202107181, fields))).toThrow(DataError);
  });

  it('that is empty or cut short is refused', () => {
    const { bytes } = fixture(18);
    expect(() => parseControlData(new Uint8Array())).toThrow(DataError);
    expect(() => parseControlData(bytes.subarray(0, 300))).toThrow(DataError);
  });
});

function placeOfCrc(bytes: Uint8Array): number {
  const version = new DataView(bytes.buffer).getUint32(8, true);
  const place = controlLayout(version).get('crc');
  if (place === undefined) throw new Error('no crc');
  return place;
}

function made(
  version: number,
  catalog: number,
  values: Record<string, number>,
  littleEndian = true,
): Uint8Array {
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  const layout = version === 1900 ? controlLayout(1800) : controlLayout(version);
  const all = { controlVersion: version, catalogVersion: catalog, ...values };
  for (const [name, value] of Object.entries(all)) {
    const place = layout.get(name);
    if (place === undefined) throw new Error(name);
    if (name === 'redo') view.setBigUint64(place, BigInt(value), littleEndian);
    else view.setUint32(place, value, littleEndian);
  }
  const crc = layout.get('crc') ?? 0;
  view.setUint32(crc, crc32c(bytes.subarray(0, crc)), littleEndian);
  return bytes;
}
