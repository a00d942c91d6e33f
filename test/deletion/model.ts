/**
 * Archives at random, with what is known of them besides their names: which cluster wrote what, when, on which branch.
 * What delete does is compared with this knowledge, not with its own reading of the names.
 */

import { backupName, partKey, sentinelKey, versionKey, walKey } from '../../src/archive/layout.ts';
import { type OwnFacts, writeSentinel } from '../../src/archive/sentinel.ts';
import { historyName } from '../../src/archive/timeline.ts';
import { LzopEncoder } from '../../src/codec/encoder.ts';
import { formatLsn, segmentName } from '../../src/postgres/segment.ts';
import { MemoryStore } from '../harness/memory-store.ts';

const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const MODEL_SEGMENT_BYTES = 16 * 1024 * 1024;

export interface ModelTimeline {
  readonly system: string;
  readonly number: number;
  /** Oldest first: the timelines it came from, each with the index of the segment in which it was left. */
  readonly ancestors: readonly { readonly timeline: number; readonly index: number; readonly lsn: bigint }[];
  readonly first: number;
  readonly last: number;
  readonly hasHistory: boolean;
}

export interface ModelBackup {
  readonly name: string;
  readonly system: string;
  readonly timeline: number;
  readonly start: number;
  readonly stop: number;
  readonly started: number;
  readonly finished: number;
  readonly kind: 'own' | 'original';
  readonly state: 'complete' | 'young' | 'old';
  /** Its sentinel can be read and tells when it was finished. */
  readonly statesTime: boolean;
}

export interface ModelWal {
  readonly key: string;
  readonly system: string;
  readonly timeline: number;
  readonly index: number;
  readonly archived: number;
}

export interface Model {
  readonly store: MemoryStore;
  readonly now: number;
  readonly timelines: readonly ModelTimeline[];
  readonly backups: readonly ModelBackup[];
  readonly wal: readonly ModelWal[];
  readonly foreign: readonly string[];
  readonly foreignStarts: readonly { readonly timeline: number; readonly index: number }[];
}

type Random = () => number;

const LIVES = ['own', 'original', 'moved'] as const;

const int = (random: Random, from: number, to: number) => from + Math.floor(random() * (to - from + 1));
const chance = (random: Random, probability: number) => random() < probability;

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[int(random, 0, items.length - 1)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

export function nameAt(timeline: number, index: number): string {
  return segmentName(timeline, BigInt(index) * BigInt(MODEL_SEGMENT_BYTES), MODEL_SEGMENT_BYTES);
}

export function makeModel(random: Random): Model {
  const systems = chance(random, 0.2) ? ['7001', '7002'] : ['7001'];
  const builder = new Builder(random, systems.length > 1);
  for (const system of systems) builder.system(system);
  return builder.finish();
}

class Builder {
  readonly #random: Random;
  readonly #several: boolean;
  readonly #store = new MemoryStore();
  readonly #timelines: ModelTimeline[] = [];
  readonly #backups: ModelBackup[] = [];
  readonly #wal = new Map<string, ModelWal>();
  readonly #foreign: string[] = [];
  readonly #foreignStarts: { timeline: number; index: number }[] = [];
  /** Timeline and index of a segment -> when the first byte was written to it. */
  readonly #began = new Map<string, number>();
  #clock = Date.parse('2026-01-01T00:00:00Z');

  /** `several`: systems, told apart by what their sentinels state. */
  constructor(random: Random, several: boolean) {
    this.#random = random;
    this.#several = several;
  }

  /** One cluster's life: a timeline, points in it that others branch from, backups here and there. */
  system(system: string): void {
    const random = this.#random;
    const life = this.#several ? 'own' : pick(random, LIVES);
    // After a pg_upgrade the numbers start again, and come to where they were.
    const before = this.#timelines[0]?.first;
    const start =
      before !== undefined && chance(random, 0.6)
        ? int(random, Math.max(before - 20, 1), before + 10)
        : int(random, 1, 400);
    const own: ModelTimeline[] = [];
    const count = int(random, 1, 4);
    for (let number = 1; number <= count; number += 1) {
      const parent = number === 1 ? undefined : pick(random, own);
      // Whoever moves from WAL-E to this tool has backups of both.
      const kind = life === 'moved' ? (number > count / 2 ? 'own' : 'original') : life;
      own.push(this.#timeline(system, number, parent, start, kind));
      this.#clock += int(random, 1, 60) * HOUR;
    }
    this.#timelines.push(...own);
    this.#clock += 3 * DAY;
  }

  #timeline(
    system: string,
    number: number,
    parent: ModelTimeline | undefined,
    start: number,
    kind: 'own' | 'original',
  ): ModelTimeline {
    const random = this.#random;
    const branch = parent === undefined ? start : this.#branchOf(parent);
    const chosen = BigInt(branch) * BigInt(MODEL_SEGMENT_BYTES) + BigInt(pick(random, [0, 4096, 9_000_000]));
    const inherited = parent?.ancestors ?? [];
    const reached = inherited.at(-1)?.lsn ?? 0n;
    const lsn = chosen > reached ? chosen : reached;
    const ancestors =
      parent === undefined ? [] : [...inherited, { timeline: parent.number, index: branch, lsn }];
    const timeline = {
      system,
      number,
      ancestors,
      first: branch,
      last: branch + int(random, 0, 30),
      // PostgreSQL archives its history before its WAL: another system's does not stay under the name.
      hasHistory: number > 1 && (this.#store.objects.has(walKey(historyName(number))) || chance(random, 0.9)),
    };
    if (timeline.hasHistory) {
      const text = ancestors.map((line) => `${line.timeline}\t${formatLsn(line.lsn)}\treason\n`).join('');
      this.#put(walKey(historyName(number)), lzop(text));
    } else if (number > 1 && chance(random, 0.5)) {
      // Encrypted for somebody else, or damaged: nothing can be read from it.
      this.#put(walKey(historyName(number)), Buffer.from('\x85\x01\x8c\x03 not lzop'));
    }
    for (let index = timeline.first; index <= timeline.last; index += 1) this.#segment(timeline, index, kind);
    if (chance(random, 0.3))
      this.#put(`wal_005/${nameAt(number, timeline.last + 1)}.partial.lzo`, new Uint8Array(3));
    return timeline;
  }

  /** Anywhere, often in the segment in which a backup starts: that is where being off by one shows. */
  #branchOf(parent: ModelTimeline): number {
    const starts = this.#backups
      .filter(({ system, timeline }) => system === parent.system && timeline === parent.number)
      .map(({ start }) => start);
    return chance(this.#random, 0.3) && starts.length > 0
      ? pick(this.#random, starts)
      : int(this.#random, parent.first, parent.last);
  }

  #segment(timeline: ModelTimeline, index: number, kind: 'own' | 'original'): void {
    const random = this.#random;
    this.#began.set(`${timeline.number}/${index}`, this.#clock);
    this.#clock += HOUR;
    if (chance(random, 0.05)) this.#clock += 2 * DAY;
    const key = walKey(nameAt(timeline.number, index));
    if (!chance(random, 0.02)) {
      const archived = this.#clock;
      this.#wal.set(key, { key, system: timeline.system, timeline: timeline.number, index, archived });
      this.#put(key, new Uint8Array(9));
    }
    if (chance(random, 0.12)) this.#backup(timeline, index, kind);
    if (chance(random, 0.01)) this.#strangers(timeline, index);
    if (chance(random, 0.02))
      this.#store.uploads.push({
        key,
        started: new Date(this.#clock),
        id: `${key} ${this.#store.uploads.length}`,
      });
  }

  #backup(timeline: ModelTimeline, stop: number, kind: 'own' | 'original'): void {
    const random = this.#random;
    const start = Math.max(timeline.first, stop - int(random, 0, 2));
    // With two digits it could look like one of those that the original names after the wrong segment.
    const offset = pick(random, [140, 196, 1234]);
    const name = backupName(nameAt(timeline.number, start), offset);
    if (this.#backups.some((backup) => backup.name === name)) return;
    const state = chance(random, 0.15) ? 'old' : 'complete';
    this.#clock += 60_000;
    this.#objects(name, timeline, { start, stop, kind, state });
    const label = `${nameAt(timeline.number, start)}.${offset.toString(16).toUpperCase().padStart(8, '0')}.backup`;
    this.#wal.set(walKey(label), {
      key: walKey(label),
      system: timeline.system,
      timeline: timeline.number,
      index: start,
      archived: this.#clock,
    });
    this.#put(walKey(label), lzop('LABEL: x\n'));
  }

  #objects(
    name: ReturnType<typeof backupName>,
    timeline: ModelTimeline,
    facts: Pick<ModelBackup, 'start' | 'stop' | 'kind' | 'state'>,
  ): void {
    const random = this.#random;
    const parts = int(random, 1, 3);
    const finished = this.#clock;
    this.#put(versionKey(name), new Uint8Array(20));
    for (let number = 0; number < parts; number += 1)
      if (!chance(random, 0.03)) this.#put(partKey(name, number), new Uint8Array(10));
    const { start, stop, kind, state } = facts;
    const started = this.#began.get(`${timeline.number}/${start}`) ?? finished;
    const isCut = state === 'complete' && !this.#several && chance(random, 0.02);
    if (state === 'complete') {
      const own = kind === 'own' ? ownFacts(timeline, { ...facts, started, finished, parts }) : undefined;
      const text = writeSentinel({
        stopSegment: nameAt(timeline.number, stop),
        stopOffset: '00000256',
        expandedSizeBytes: 1,
        spec: undefined,
        own,
      });
      this.#put(sentinelKey(name), Buffer.from(isCut ? '{' : text));
    }
    const { system, number } = timeline;
    const statesTime = kind === 'own' && state === 'complete' && !isCut;
    this.#backups.push({
      ...{ name, system, timeline: number },
      ...{ start, stop, started, finished, kind, state, statesTime },
    });
  }

  #strangers(timeline: ModelTimeline, index: number): void {
    const segment = nameAt(timeline.number, index);
    const keys = [
      `wal_005/${segment}.lz4`,
      'wal_005/junk.lzo',
      'basebackups_005/notes.txt',
      `basebackups_005/deeper/${segment}`,
    ];
    if (chance(this.#random, 0.3)) {
      const name = `base_${segment}${chance(this.#random, 0.3) ? `_D_${nameAt(timeline.number, index - 1)}` : ''}`;
      keys.push(
        `basebackups_005/${name}_backup_stop_sentinel.json`,
        `basebackups_005/${name}/metadata.json`,
        `basebackups_005/${name}/tar_partitions/part_001.tar.lz4`,
      );
      this.#foreignStarts.push({ timeline: timeline.number, index });
    }
    for (const key of keys) {
      this.#foreign.push(key);
      this.#put(key, new Uint8Array(5));
    }
  }

  #put(key: string, bytes: Uint8Array): void {
    this.#store.set(key, new Date(this.#clock), { bytes });
  }

  finish(): Model {
    const now = this.#clock + (chance(this.#random, 0.5) ? HOUR : int(this.#random, 1, 20) * DAY);
    const limit = now - 7 * DAY;
    return {
      store: this.#store,
      now,
      timelines: this.#timelines,
      backups: this.#backups.map((backup) =>
        backup.state === 'old' && backup.finished > limit ? { ...backup, state: 'young' } : backup,
      ),
      wal: [...this.#wal.values()],
      foreign: this.#foreign,
      foreignStarts: this.#foreignStarts,
    };
  }
}

function ownFacts(
  timeline: ModelTimeline,
  facts: Pick<ModelBackup, 'start' | 'stop' | 'finished'> & { started: number; parts: number },
): OwnFacts {
  const { start, stop, started, finished, parts } = facts;
  const lsn = (index: number, offset: number) =>
    formatLsn(BigInt(index) * BigInt(MODEL_SEGMENT_BYTES) + BigInt(offset));
  return {
    formatVersion: 1,
    toolVersion: 'model',
    systemIdentifier: timeline.system,
    postgresVersion: 180004,
    segmentBytes: MODEL_SEGMENT_BYTES,
    startLsn: lsn(start, 40),
    stopLsn: lsn(stop, 256),
    timeline: timeline.number,
    startTime: new Date(started).toISOString(),
    finishTime: new Date(finished).toISOString(),
    fromStandby: false,
    offline: false,
    dataChecksums: true,
    parts: Array.from({ length: parts }, (_, number) => ({
      number,
      size: 10,
      sha256: '0'.repeat(64),
      members: 1,
      expandedSize: 1,
    })),
    damagedPages: [],
    damagedPageCount: 0,
    hostname: 'model',
    withConfig: false,
  };
}

function lzop(text: string): Buffer {
  const encoder = new LzopEncoder({ mode: 0, mtimeSeconds: 0 });
  return Buffer.concat([encoder.header(), encoder.block(Buffer.from(text)), encoder.end()]);
}
