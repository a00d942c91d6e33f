/** Base backups made for tests: of members that no server needs to have written, ours or the original's. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type BackupName, backupName, partKey, sentinelKey, versionKey } from '../../src/archive/layout.ts';
import { type OwnFacts, type PartFact, type Sentinel, writeSentinel } from '../../src/archive/sentinel.ts';
import type { Store } from '../../src/store/store.ts';
import { compress } from './lzop.ts';
import { file, folder, type TarEntry, tarOf } from './tar.ts';

export interface MadeBackup {
  readonly name: BackupName;
  readonly sentinel: Sentinel;
  /** The parts as they are stored. */
  readonly parts: readonly Buffer[];
}

export interface BackupRecipe {
  /** Members of each part. */
  readonly parts: readonly (readonly TarEntry[])[];
  /** undefined: a backup of the original's, which carries no facts of ours. */
  readonly own?: Partial<OwnFacts> | false;
  readonly segment?: string;
  readonly tablespaces?: ReadonlyMap<string, string>;
  readonly expandedSizeBytes?: number;
}

const call = { signal: new AbortController().signal };
const ANY = { ...call, createOnly: false, contentType: 'application/octet-stream' } as const;

/** A control file of PostgreSQL 14, of a running server. */
export function controlFile(): Buffer {
  return readFileSync(new URL('../../fixtures/pg_control/14.bin', import.meta.url));
}

/** The least that backup-fetch takes for a data directory. */
export function leastMembers(): TarEntry[] {
  return [
    folder('/'),
    folder('base'),
    folder('global'),
    folder('pg_wal'),
    folder('pg_tblspc'),
    file('PG_VERSION', '14\n'),
    file('backup_label', 'START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n'),
    file('global/pg_control', controlFile()),
  ];
}

export async function storeBackup(store: Store, recipe: BackupRecipe): Promise<MadeBackup> {
  const segment = recipe.segment ?? '000000010000000000000003';
  const name = backupName(segment, 40);
  const parts = recipe.parts.map((members) => compress(tarOf(members)));
  const facts = recipe.parts.map((members, number) =>
    partFact(number, members, parts[number] ?? Buffer.alloc(0)),
  );
  const tablespaces = [...(recipe.tablespaces ?? [])].map(
    ([oid, loc]) => [oid, { loc: `${loc}/`, link: `pg_tblspc/${oid}` }] as const,
  );
  const sentinel: Sentinel = {
    stopSegment: segment,
    stopOffset: '00000256',
    expandedSizeBytes:
      recipe.expandedSizeBytes ?? facts.reduce((sum, { expandedSize }) => sum + expandedSize, 0),
    spec: { basePrefix: '/source/data/', tablespaces: new Map(tablespaces) },
    own: recipe.own === false ? undefined : { ...ownFacts(segment), parts: facts, ...recipe.own },
  };
  await store.put(versionKey(name), [Buffer.from('PostgreSQL 14.23 on x86_64')], ANY);
  for (const [number, bytes] of parts.entries()) await store.put(partKey(name, number), [bytes], ANY);
  await store.put(sentinelKey(name), [Buffer.from(writeSentinel(sentinel))], ANY);
  return { name, sentinel, parts };
}

export async function storePart(
  store: Store,
  name: BackupName,
  number: number,
  bytes: Uint8Array,
): Promise<void> {
  await store.put(partKey(name, number), [bytes], ANY);
}

function partFact(number: number, members: readonly TarEntry[], packed: Buffer): PartFact {
  return {
    number,
    size: packed.length,
    sha256: createHash('sha256').update(packed).digest('hex'),
    members: members.length,
    expandedSize: members.reduce((sum, { content }) => sum + (content?.length ?? 0), 0),
  };
}

function ownFacts(segment: string): OwnFacts {
  const position = `0/${Number.parseInt(segment.slice(-8), 16).toString(16).toUpperCase()}`;
  return {
    formatVersion: 1,
    toolVersion: '2.0.0',
    systemIdentifier: '7300000000000000001',
    postgresVersion: 140023,
    segmentBytes: 16_777_216,
    startLsn: `${position}000028`,
    stopLsn: `${position}000100`,
    timeline: 1,
    startTime: '2026-11-21T07:00:00Z',
    finishTime: '2026-11-21T07:01:00Z',
    fromStandby: false,
    offline: false,
    dataChecksums: false,
    parts: [],
    damagedPages: [],
    damagedPageCount: 0,
    hostname: 'db1',
    withConfig: false,
  };
}
