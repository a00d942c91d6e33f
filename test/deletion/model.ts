/**
 * Archives at random, with what is known of them besides their names: which cluster wrote what, when, on which branch.
 * What delete does is compared with this knowledge, not with its own reading of the names.
 */

import {
  type BackupName,
  backupName,
  listedKey,
  parseBackupName,
  partKey,
  sentinelKey,
  versionKey,
  walKey,
} from '../../src/archive/layout.ts';
import { writeSentinel } from '../../src/archive/sentinel.ts';
import { historyName } from '../../src/archive/timeline.ts';
import { formatLsn } from '../../src/postgres/segment.ts';
import { MemoryStore } from '../harness/memory-store.ts';
import { chance, int, pick, type Random } from './chance.ts';
import { copyDates, withDates } from './model-dates.ts';
import {
  DAY,
  type Dating,
  foreignBackup,
  labelText,
  lzop,
  type Model,
  type ModelBackup,
  type ModelTimeline,
  type ModelWal,
  NO_SPEC,
  offlineName,
  ownFacts,
  stopOf,
  strangeKeys,
  walContent,
} from './model-facts.ts';
import { Scale, SEGMENT_SIZES, segmentsInLog } from './model-scale.ts';

const HOUR = 3_600_000;
const BEGIN = Date.parse('2026-01-01T00:00:00Z');

const LIVES = ['own', 'original', 'moved'] as const;
const COPIES: readonly Dating[] = ['equal', 'newer', 'any', 'reset'];
const MB = 1024 * 1024;

export function makeModel(random: Random): Model {
  const systems = chance(random, 0.2) ? ['7001', '7002'] : ['7001'];
  const sizes = systems.map(() => (chance(random, 0.4) ? 16 * MB : pick(random, SEGMENT_SIZES)));
  const builder = new Builder(random, sizes);
  for (const [at, system] of systems.entries()) builder.system(system, sizes[at] ?? 0);
  return builder.finish(chance(random, 0.6) ? 'stored' : pick(random, COPIES));
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
  readonly #archiveBytes: number;
  readonly #isSealed: boolean;
  readonly #hasLabels: boolean;
  #scale: Scale;
  #clock = BEGIN;
  /** The server is stopped for some of its backups. */
  #stops = false;
  /** Where the WAL of the first system begins. */
  #firstPlace: number | undefined;

  /** `sizes`: of the segments of each system. Several systems are told apart by what their sentinels state. */
  constructor(random: Random, sizes: readonly number[]) {
    this.#random = random;
    this.#several = sizes.length > 1;
    this.#archiveBytes = Math.min(...sizes);
    this.#scale = new Scale(this.#archiveBytes, this.#archiveBytes);
    // Segments of another size can only be told from what can be read, or from sentinels.
    this.#isSealed = (this.#several || this.#archiveBytes === 16 * MB) && chance(random, 0.15);
    this.#hasLabels = !this.#isSealed && chance(random, 0.5);
  }

  /** One cluster's life: a timeline, points in it that others branch from, backups here and there. */
  system(system: string, segmentBytes: number): void {
    const random = this.#random;
    this.#scale = new Scale(segmentBytes, this.#archiveBytes);
    const perLog = segmentsInLog(segmentBytes);
    const life = this.#several ? 'own' : pick(random, LIVES);
    // After a pg_upgrade the numbers start again, and come to where they were.
    const before = this.#firstPlace === undefined ? undefined : this.#scale.index(this.#firstPlace);
    this.#stops = life !== 'own' && chance(random, 0.6);
    const start =
      before !== undefined && chance(random, 0.6)
        ? int(random, Math.max(before - 20, 1), before + 10)
        : this.#stops && chance(random, 0.7)
          ? pick(random, [0, 1, 2]) * perLog + int(random, 1, 10)
          : chance(random, 0.5)
            ? int(random, 1, 2) * perLog - int(random, 1, 40)
            : int(random, 1, 400);
    this.#firstPlace ??= this.#scale.place(start);
    const own: ModelTimeline[] = [];
    const count = int(random, 1, 4);
    // From 10 on the original spells timelines otherwise than PostgreSQL where the server was stopped.
    let number = this.#stops && chance(random, 0.4) ? int(random, 8, 16) : 1;
    for (let at = 1; at <= count; at += 1) {
      const parent = at === 1 ? undefined : pick(random, own);
      // Whoever moves from WAL-E to this tool has backups of both.
      const kind = life === 'moved' ? (at > count / 2 ? 'own' : 'original') : life;
      own.push(this.#timeline(system, number, parent, start, kind));
      this.#clock += int(random, 1, 60) * HOUR;
      number += this.#stops && chance(random, 0.2) ? int(random, 2, 6) : 1;
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
    const scale = this.#scale;
    const chosen = scale.lsn(branch, pick(random, [0, 4096, 9_000_000 % scale.bytes]));
    const inherited = parent?.ancestors ?? [];
    const reached = inherited.at(-1)?.lsn ?? 0n;
    const lsn = chosen > reached ? chosen : reached;
    const from = parent?.number ?? number - 1;
    // Of the timelines before the first that was archived only the last one is told.
    const ancestors = from === 0 ? [] : [...inherited, { timeline: from, index: scale.place(branch), lsn }];
    const timeline = {
      system,
      number,
      ancestors,
      segmentBytes: scale.bytes,
      first: branch,
      last: branch + int(random, 0, 30),
      // PostgreSQL archives its history before its WAL: another system's does not stay under the name.
      hasHistory:
        number > 1 &&
        !this.#isSealed &&
        (this.#store.objects.has(walKey(historyName(number))) || chance(random, 0.9)),
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
      this.#put(`wal_005/${scale.name(number, timeline.last + 1)}.partial.lzo`, new Uint8Array(3));
    return timeline;
  }

  /** Anywhere, often in the segment in which a backup starts: that is where being off by one shows. */
  #branchOf(parent: ModelTimeline): number {
    const starts = this.#backups
      .filter(({ system, timeline }) => system === parent.system && timeline === parent.number)
      .map(({ start }) => this.#scale.index(start));
    return chance(this.#random, 0.3) && starts.length > 0
      ? pick(this.#random, starts)
      : int(this.#random, parent.first, parent.last);
  }

  #segment(timeline: ModelTimeline, index: number, kind: 'own' | 'original'): void {
    const random = this.#random;
    this.#began.set(`${timeline.number}/${index}`, this.#clock);
    if (this.#stops && kind === 'original' && chance(random, 0.15)) this.#offlineBackup(timeline, index);
    this.#clock += HOUR;
    if (chance(random, 0.05)) this.#clock += 2 * DAY;
    const key = walKey(this.#scale.name(timeline.number, index));
    if (!chance(random, 0.02)) this.#archive(key, timeline, index, this.#content(timeline, index));
    if (chance(random, 0.12)) this.#backup(timeline, index, kind);
    if (chance(random, 0.01)) this.#strangers(timeline, index);
    if (chance(random, 0.02)) this.#upload(key);
  }

  #content({ system, number }: ModelTimeline, index: number): Uint8Array {
    if (this.#isSealed) return new Uint8Array(9);
    return walContent(system, this.#scale.name(number, index), this.#scale.bytes);
  }

  #archive(key: string, { system, number }: ModelTimeline, index: number, bytes: Uint8Array): void {
    const place = this.#scale.place(index);
    this.#wal.set(key, { key, system, timeline: number, index: place, archived: this.#clock });
    this.#put(key, bytes);
  }

  #backup(timeline: ModelTimeline, stop: number, kind: 'own' | 'original'): void {
    const random = this.#random;
    const start = Math.max(timeline.first, stop - int(random, 0, 2));
    // Like one of those that the original names after the wrong segment.
    const segment = this.#scale.name(timeline.number, start);
    const digits = segment.slice(22);
    const alike = /^[4-9]\d$/.test(digits) && chance(random, 0.5) ? [Number(digits)] : [];
    const offset = pick(random, alike.length > 0 ? alike : [140, 196, 1234]);
    const name = backupName(segment, offset);
    if (this.#backups.some((backup) => backup.name === name)) return;
    const state = chance(random, 0.15) ? 'old' : 'complete';
    this.#clock += 60_000;
    this.#objects(name, timeline, { start, stop, kind, state, server: 'running' });
    if (state === 'old' && !this.#store.objects.has(versionKey(name))) return;
    const label = walKey(`${segment}.${offset.toString(16).toUpperCase().padStart(8, '0')}.backup`);
    const text = labelText(this.#hasLabels ? this.#clock : undefined);
    this.#archive(label, timeline, start, this.#isSealed ? new Uint8Array(9) : lzop(text));
  }

  /** It writes no label file, and the segment in which it starts is archived when the server has filled it. */
  #offlineBackup(timeline: ModelTimeline, index: number): void {
    const random = this.#random;
    const lsn = this.#scale.lsn(index, pick(random, [40, 0x1234, 0x300028 % this.#scale.bytes]));
    const name = parseBackupName(offlineName(timeline.number, lsn));
    if (name === undefined) throw new Error('a name that nobody reads');
    if (this.#backups.some((backup) => backup.name === name)) return;
    const state = chance(random, 0.2) ? 'old' : 'complete';
    this.#clock += 60_000;
    this.#objects(name, timeline, { start: index, stop: index, kind: 'original', state, server: 'stopped' });
  }

  #objects(
    name: BackupName,
    timeline: ModelTimeline,
    facts: Pick<ModelBackup, 'start' | 'stop' | 'kind' | 'state' | 'server'>,
  ): void {
    const random = this.#random;
    const parts = int(random, 1, 3);
    const finished = this.#clock;
    const { kind, state } = facts;
    const started = this.#began.get(`${timeline.number}/${facts.start}`) ?? finished;
    const uploading = state === 'old' && chance(random, 0.2);
    if (uploading) this.#upload(partKey(name, 0));
    else {
      this.#put(versionKey(name), new Uint8Array(20));
      for (let number = 0; number < parts; number += 1)
        if (!chance(random, 0.03)) this.#put(partKey(name, number), new Uint8Array(10));
    }
    const isCut = !this.#several && chance(random, facts.server === 'stopped' ? 0.1 : 0.02);
    const sentinel = state === 'complete' ? (isCut ? 'cut' : 'readable') : 'none';
    if (sentinel !== 'none') {
      const own =
        kind === 'own' ? ownFacts(timeline, { ...facts, started, finished, parts }, this.#scale) : undefined;
      const text = writeSentinel({ ...stopOf(name, timeline, facts, this.#scale), ...NO_SPEC, own });
      this.#put(sentinelKey(name), Buffer.from(sentinel === 'cut' ? '{' : text));
    }
    const { system, number } = timeline;
    const statesTime = kind === 'own' && sentinel === 'readable';
    this.#backups.push({
      ...{ name, system, timeline: number, ...facts },
      ...{ start: this.#scale.place(facts.start), stop: this.#scale.place(facts.stop) },
      ...{ started, finished, sentinel, statesTime, uploading },
      labelTime: facts.server === 'running' && this.#hasLabels ? finished : undefined,
      ...{ stored: finished, newest: finished, begun: started },
    });
  }

  #upload(key: string): void {
    const id = `${key} ${this.#store.uploads.length}`;
    this.#store.uploads.push({ key: listedKey(key), started: new Date(this.#clock), id });
  }

  #strangers(timeline: ModelTimeline, index: number): void {
    const segment = this.#scale.name(timeline.number, index);
    const keys = strangeKeys(segment);
    if (chance(this.#random, 0.3)) {
      const isDelta = chance(this.#random, 0.3);
      keys.push(
        ...foreignBackup(segment, isDelta ? this.#scale.name(timeline.number, index - 1) : undefined),
      );
      this.#foreignStarts.push({ timeline: timeline.number, index: this.#scale.place(index) });
    }
    for (const key of keys) {
      this.#foreign.push(key);
      this.#put(key, new Uint8Array(5));
    }
  }

  #put(key: string, bytes: Uint8Array): void {
    this.#store.set(key, new Date(this.#clock), { bytes });
  }

  finish(dating: Dating): Model {
    const random = this.#random;
    const now = this.#clock + (chance(random, 0.5) ? HOUR : int(random, 1, 20) * DAY);
    copyDates(this.#store, dating, random, { first: BEGIN, last: this.#clock });
    return withDates({
      ...{ store: this.#store, now, dating, segmentBytes: this.#archiveBytes, isSealed: this.#isSealed },
      isOneSize: new Set(this.#timelines.map(({ segmentBytes }) => segmentBytes)).size === 1,
      timelines: this.#timelines,
      backups: this.#backups,
      wal: [...this.#wal.values()],
      foreign: this.#foreign,
      foreignStarts: this.#foreignStarts,
    });
  }
}
