import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  OWN_KEY,
  type OwnFacts,
  parseSentinel,
  type Sentinel,
  writeSentinel,
} from '../../src/archive/sentinel.ts';
import { DataError } from '../../src/errors.ts';

const golden = (archive: string) =>
  readFileSync(
    fileURLToPath(
      new URL(
        `../../fixtures/golden/${archive}/archive/basebackups_005/base_00000001000000000000000B_00000040_backup_stop_sentinel.json`,
        import.meta.url,
      ),
    ),
    'utf8',
  );

const own: OwnFacts = {
  formatVersion: 1,
  toolVersion: '2.0.0',
  systemIdentifier: '7345678901234567890',
  postgresVersion: 180004,
  segmentBytes: 16_777_216,
  startLsn: '0/B000028',
  stopLsn: '0/B000158',
  timeline: 1,
  startTime: '2026-11-21T06:25:39.338Z',
  finishTime: '2026-11-21T06:25:40.000Z',
  fromStandby: false,
  offline: false,
  dataChecksums: true,
  parts: [{ number: 0, size: 12, sha256: 'ab'.repeat(32), members: 3, expandedSize: 4096 }],
  tablespaceBytes: new Map([
    ['16384', 4096],
    ['9', 0],
  ]),
  damagedPages: [{ file: 'base/5/1259', block: 7 }],
  damagedPageCount: 1,
  hostname: 'db-ö.example',
  withConfig: false,
};

const sentinel: Sentinel = {
  stopSegment: '00000001000000000000000B',
  stopOffset: '00000256',
  expandedSizeBytes: 9_833_969,
  spec: {
    basePrefix: '/var/lib/pgsql/ä/',
    tablespaces: new Map([
      ['16384', { loc: '/srv/one/', link: 'pg_tblspc/16384' }],
      ['9', { loc: '/srv/two\nlines/', link: 'pg_tblspc/9' }],
    ]),
  },
  own,
};

const fields = () => JSON.parse(writeSentinel(sentinel)) as Record<string, unknown>;
const ownFields = () => fields()[OWN_KEY] as Record<string, unknown>;

describe('a sentinel', () => {
  it.each(['seg1', 'gpg'])('of the original (%s) is read, and written again byte for byte', (archive) => {
    const text = golden(archive);
    const read = parseSentinel(text);
    expect(read.stopSegment).toBe('00000001000000000000000B');
    expect(read.spec?.tablespaces.get('16384')).toEqual({
      loc: '/srv/pgdata/ts_one/',
      link: 'pg_tblspc/16384',
    });
    expect(read.own).toBeUndefined();
    expect(writeSentinel(read)).toBe(text);
  });

  it('of ours comes back as it was written', () => {
    expect(parseSentinel(writeSentinel(sentinel))).toEqual(sentinel);
  });

  it('[arc-15] needs neither spec nor our facts, and fields that nobody knows do not disturb', () => {
    const { spec: _spec, [OWN_KEY]: _own, ...rest } = fields();
    const read = parseSentinel(JSON.stringify({ ...rest, UserData: { a: [1] } }));
    expect(read.spec).toBeUndefined();
    expect(read.own).toBeUndefined();
    expect(parseSentinel(JSON.stringify({ ...rest, spec: {} })).spec).toBeUndefined();
  });

  it.each([
    ['nothing', ''],
    ['cut text', golden('seg1').slice(0, -1)],
    ['a list', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['no stop segment', '{"expanded_size_bytes": 1}'],
    [
      'fields of the prototype only',
      '{"__proto__": {"wal_segment_backup_stop": "00000001000000000000000B"}}',
    ],
  ])('that is %s is refused with a DataError', (_what, text) => {
    expect(() => parseSentinel(text)).toThrow(DataError);
  });

  it.each([
    ['wal_segment_backup_stop', 1],
    ['wal_segment_backup_stop', '../../../../etc/passwd00'],
    ['wal_segment_backup_stop', '00000001000000000000000B\n'],
    ['wal_segment_offset_backup_stop', 256],
    ['wal_segment_offset_backup_stop', null],
    ['expanded_size_bytes', -1],
    ['expanded_size_bytes', 1e300],
    ['expanded_size_bytes', '9'],
    ['spec', []],
    ['spec', { base_prefix: 7 }],
    ['spec', { base_prefix: '/a\0b' }],
    ['spec', { base_prefix: '/a', tablespaces: ['__proto__'] }],
    ['spec', { base_prefix: '/a', tablespaces: ['constructor'] }],
    ['spec', { base_prefix: '/a', tablespaces: ['16384'] }],
    ['spec', { base_prefix: '/a', tablespaces: ['1'], 1: { loc: '/b', link: '../../etc' } }],
    ['spec', { base_prefix: '/a', tablespaces: { length: 1 } }],
    [OWN_KEY, 'x'],
  ])('whose %s is %j is refused with a DataError that names it', (name, value) => {
    const text = JSON.stringify({ ...fields(), [name]: value });
    expect(() => parseSentinel(text)).toThrow(DataError);
    expect(() => parseSentinel(text)).toThrow(name === 'spec' ? /spec|base_prefix/ : name);
  });

  it.each([
    ['formatVersion', 2],
    ['systemIdentifier', '-1'],
    ['systemIdentifier', 7345678901],
    ['segmentBytes', 3_000_000],
    ['startLsn', '0/'],
    ['stopLsn', 'G/0'],
    ['timeline', 0],
    ['finishTime', 'yesterday'],
    ['finishTime', '2026-99-99T00:00:00Z'],
    ['parts', {}],
    ['parts', [{ ...own.parts[0], size: '12' }]],
    ['parts', [own.parts[0], own.parts[0]]],
    ['damagedPages', [{ file: '', block: 1 }]],
    ['damagedPages', Array.from({ length: 1001 }, () => own.damagedPages[0])],
    ['fromStandby', 1],
    ['hostname', 'x'.repeat(1001)],
  ])('whose own fact %s is %j is refused with a DataError', (name, value) => {
    const text = JSON.stringify({ ...fields(), [OWN_KEY]: { ...ownFields(), [name]: value } });
    expect(() => parseSentinel(text)).toThrow(DataError);
  });

  const required = Object.keys(own).filter((name) => name !== 'tablespaceBytes');
  it.each(required)('of ours without %s is refused, not completed', (name) => {
    const { [name]: _gone, ...rest } = ownFields();
    expect(() => parseSentinel(JSON.stringify({ ...fields(), [OWN_KEY]: rest }))).toThrow(DataError);
  });

  it('of enormous size is refused before it is parsed', () => {
    const text = `{"x": "${'x'.repeat(64 * 1024 * 1024)}"}`;
    expect(() => parseSentinel(text)).toThrow('too long');
  });
});
