/** Reads the objects of an archive, or a part of them, several at once, and keeps what is wrong with them. */
import { listBackups, ownFacts, readSentinels } from '../archive/catalog.ts';
import { classifyKey, WAL_PREFIX } from '../archive/layout.ts';
import { parallel } from '../parallel.ts';
import type { ObjectInfo } from '../store/store.ts';
import { type CheckedObject, checkPart, checkWal, type Reader } from './object-check.ts';
import { isInPart, type ReadPart } from './request.ts';

export interface Damage {
  readonly key: string;
  readonly problem: string;
}

export interface Readings {
  objects: number;
  bytes: number;
  /** Objects that were not read, since they are in cold storage. */
  cold: number;
  /** Key -> what is wrong with the object. */
  readonly damaged: Map<string, string>;
  /** System identifier in the WAL -> how many segments carry it. */
  readonly systems: Map<string, number>;
}

interface Task {
  readonly object: ObjectInfo;
  check(): Promise<CheckedObject>;
}

const OBJECTS_AT_ONCE = 4;
const SENTINELS_AT_ONCE = 8;

/** `told` is called after each object. */
export async function readObjects(
  reader: Reader,
  part: ReadPart,
  told: (readings: Readings) => void,
): Promise<Readings> {
  const readings: Readings = { objects: 0, bytes: 0, cold: 0, damaged: new Map(), systems: new Map() };
  await parallel(tasks(reader, part), OBJECTS_AT_ONCE, reader.signal, async ({ object, check }) => {
    const { bytes, problem, systemIdentifier, cold } = await check();
    if (cold) readings.cold += 1;
    else readings.objects += 1;
    readings.bytes += bytes;
    if (problem !== undefined) readings.damaged.set(object.key, problem);
    if (systemIdentifier !== undefined)
      readings.systems.set(systemIdentifier, (readings.systems.get(systemIdentifier) ?? 0) + 1);
    told(readings);
  });
  return readings;
}

async function* tasks(reader: Reader, part: ReadPart): AsyncGenerator<Task> {
  yield* partTasks(reader, part);
  for await (const page of reader.store.list(WAL_PREFIX, reader))
    for (const object of page) {
      const classified = classifyKey(object.key);
      if (classified.kind === 'wal' && isInPart(object.key, part))
        yield { object, check: () => checkWal(object, classified.name, reader) };
    }
}

async function* partTasks(reader: Reader, part: ReadPart): AsyncGenerator<Task> {
  const { store, signal } = reader;
  const backups = readSentinels(store, listBackups(store, { signal }), { width: SENTINELS_AT_ONCE, signal });
  for await (const backup of backups) {
    const facts = ownFacts(backup)?.parts ?? [];
    const hashes = new Map(facts.map(({ number, sha256 }) => [number, sha256]));
    for (const object of backup.parts)
      if (isInPart(object.key, part))
        yield { object, check: () => checkPart(object, hashes.get(object.number), reader) };
  }
}
