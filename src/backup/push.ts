/**
 * A base backup from beginning to end. The order is what makes it safe: nothing is uploaded before the source is known
 * to be the right one; the control file is read after everything else; the sentinel, which makes the backup exist, is
 * written last, when every part and all WAL are known to be in the archive.
 */
import { hostname } from 'node:os';
import { type BackupName, backupName, paddedOffset, partKey, partPrefix } from '../archive/layout.ts';
import { type BackupSpec, type OwnFacts, writeSentinel } from '../archive/sentinel.ts';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { CAN_CHECK_PAGES } from '../postgres/page-checksum.ts';
import { formatLsn, segmentName } from '../postgres/segment.ts';
import { type ClusterTablespace, readTablespaces } from '../postgres/tablespaces.ts';
import { VERSION } from '../program.ts';
import { formatBytes, formatDuration, Progress, type Terminal } from '../progress.ts';
import type { Store } from '../store/store.ts';
import { largestFirst, partitions, partLimits } from '../tar/partition.ts';
import { takePlace } from './backup-place.ts';
import { type Damage, damagedPages } from './damage.ts';
import { clusterBytes, clusterMembers, lastMembers } from './members.ts';
import { createPartPool, type PartPool } from './part-pool.ts';
import { storeSentinel } from './sentinel-put.ts';
import type { BackupEnd, BackupSource, BackupStart } from './source.ts';
import { withdraw } from './unfinished.ts';
import { checkStoredParts, PartUploads } from './upload.ts';
import { neededSegments, sayNeededWal, waitForWal } from './wal-check.ts';

/** In the log; the sentinel lists more. */
const NAMED_PAGES = 20;

export interface PushOptions {
  readonly source: BackupSource;
  readonly store: Store;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Parts that are made and uploaded at a time. */
  readonly poolSize: number;
  readonly readBytesPerSecond: number | undefined;
  readonly gpgKeyId: string | undefined;
  readonly withConfig: boolean;
  readonly failOnChecksum: boolean;
  /** How long to wait for each next segment of WAL; undefined: the archive is not looked at. */
  readonly walLimitMs: number | undefined;
  readonly terminal: Terminal;
}

export interface PushedBackup {
  readonly name: BackupName;
  /** Pages whose checksum is wrong. The backup is complete, the cluster is damaged. */
  readonly damagedPageCount: number;
}

interface Running {
  readonly name: BackupName;
  readonly uploads: PartUploads;
  readonly progress: Progress;
}

/** Complete but for its sentinel. */
interface Ready {
  readonly sentinel: string;
  /** Throws DataError when the parts in the store are not those that were uploaded. */
  readonly checkParts: () => Promise<void>;
  readonly damage: Damage;
  readonly expandedSizeBytes: number;
}

export async function pushBackup(options: PushOptions): Promise<PushedBackup> {
  const { facts } = options.source;
  const { blockBytes, relationSegmentBlocks, dataChecksums } = facts.control;
  const checksPages = dataChecksums && CAN_CHECK_PAGES;
  if (dataChecksums && !checksPages) options.log.warning('page checksums are not verified on this machine');
  const pool = createPartPool({
    size: options.poolSize,
    pages: checksPages ? { pageBytes: blockBytes, segmentBlocks: relationSegmentBlocks } : undefined,
    readBytesPerSecond: options.readBytesPerSecond,
    hashed: options.gpgKeyId === undefined,
  });
  try {
    return await new Push(options, pool).run();
  } finally {
    await pool.close();
  }
}

class Push {
  readonly #options: PushOptions;
  readonly #pool: PartPool;
  readonly #begun = new Date();
  /** Also aborts when the server is gone; no longer used once the backup is stopped there. */
  readonly #signal: AbortSignal;

  constructor(options: PushOptions, pool: PartPool) {
    this.#options = options;
    this.#pool = pool;
    const { lost } = options.source;
    this.#signal = lost === undefined ? options.signal : AbortSignal.any([options.signal, lost]);
  }

  async run(): Promise<PushedBackup> {
    const { source, store, log } = this.#options;
    const [start, totalBytes] = await this.#start();
    const { segmentBytes } = source.facts.control;
    const segment = segmentName(start.timeline, start.lsn, segmentBytes);
    const name = backupName(segment, Number(start.lsn % BigInt(segmentBytes)));
    const isOurs = !source.facts.inRecovery;
    const { versionText } = source.facts;
    await takePlace(name, { store, log, signal: this.#signal, versionText, isOurs });
    const progress = this.#progress(totalBytes);
    const uploads = new PartUploads({
      store,
      backup: name,
      start: source.offline ? undefined : start.lsn,
      pool: this.#pool,
      width: this.#options.poolSize,
      gpgKeyId: this.#options.gpgKeyId,
      progress,
      packed: ({ unsound: { certain, certainCount } }) =>
        this.#stopOnDamage({ pages: damagedPages(certain), count: certainCount }),
    });
    const running = { name, uploads, progress };
    const ready = await this.#prepare(running, totalBytes, start).catch(async (error: unknown) => {
      progress.end();
      if (isOurs) await withdraw(name, store, log);
      throw error;
    });
    // From here on the parts stay: whether a sentinel was stored whose answer got lost nobody can tell.
    await storeSentinel(name, ready.sentinel, { ...ready, store, signal: this.#options.signal });
    this.#reportDamage(ready.damage);
    this.#report(name, uploads, ready.expandedSizeBytes, progress.seconds);
    return { name, damagedPageCount: ready.damage.count };
  }

  /** While the server makes its checkpoint, the cluster is measured and the worker threads start. */
  async #start(): Promise<[BackupStart, number]> {
    const { source, withConfig } = this.#options;
    const signal = this.#signal;
    const measured = clusterBytes(source.facts, withConfig, signal);
    measured.catch(() => undefined);
    const start = await source.start(signal);
    return [start, await measured];
  }

  #progress(totalBytes: number): Progress {
    const { log, terminal } = this.#options;
    return new Progress({
      log: log.named('wal_e.worker.upload'),
      verb: 'pushed',
      totalBytes,
      totalParts: undefined,
      terminal,
      now: () => performance.now(),
    });
  }

  async #upload(
    uploads: PartUploads,
    tablespaces: readonly ClusterTablespace[],
    totalBytes: number,
    start: BackupStart,
  ): Promise<BackupEnd> {
    const { source, poolSize, withConfig, log } = this.#options;
    const members = clusterMembers(source.facts, { tablespaces, withConfig, log, signal: this.#signal });
    const parts = partitions(members, partLimits(totalBytes, poolSize));
    await uploads.uploadAll(largestFirst(parts), this.#signal);
    // Read before the stop: on a standby the copy is consistent at the minimum recovery point that this file names.
    const withControl = await lastMembers(source.facts);
    const end = await source.stop(start, this.#signal);
    const last = withControl(end);
    await uploads.upload({ number: uploads.nextNumber, members: last, bytes: 0 }, this.#options.signal);
    return end;
  }

  /** All but the sentinel. */
  async #prepare(
    { name, uploads, progress }: Running,
    totalBytes: number,
    start: BackupStart,
  ): Promise<Ready> {
    const { source, store, signal } = this.#options;
    const { dataDirectory } = source.facts;
    const tablespaces = await readTablespaces(dataDirectory);
    const end = await this.#upload(uploads, tablespaces, totalBytes, start);
    const sizes = new Map(uploads.parts.map(({ number, size }) => [partKey(name, number) as string, size]));
    const checkParts = () => checkStoredParts(store, partPrefix(name), sizes, signal);
    await checkParts();
    const damage = uploads.unsound.damage(end.lsn);
    this.#stopOnDamage(damage);
    progress.end();
    await this.#checkWal(end);
    const own = this.#ownFacts(uploads, tablespaces, start, end, damage);
    const expandedSizeBytes = uploads.parts.reduce((sum, part) => sum + part.expandedSize, 0);
    const sentinel = writeSentinel({
      stopSegment: end.lastSegment,
      stopOffset: paddedOffset(Number(end.lsn % BigInt(own.segmentBytes))),
      expandedSizeBytes,
      spec: backupSpec(dataDirectory, tablespaces),
      own,
    });
    return { sentinel, checkParts, damage, expandedSizeBytes };
  }

  #stopOnDamage({ pages, count }: Damage): void {
    const [first] = pages;
    if (first === undefined || !this.#options.failOnChecksum) return;
    throw new UserError('a page of the cluster has a wrong checksum', {
      detail: `Block ${first.block} of "${first.file}"${count > 1 ? ` and ${count - 1} more` : ''}.`,
      hint: 'Find out what the disk did. Without --fail-on-checksum the backup is completed and the damage recorded in it.',
    });
  }

  async #checkWal(end: BackupEnd): Promise<void> {
    const { source, store, log, signal, walLimitMs } = this.#options;
    const need = {
      first: end.firstSegment,
      last: end.lastSegment,
      segmentBytes: source.facts.control.segmentBytes,
    };
    if (source.offline) return sayNeededWal(neededSegments(need), store, log, signal);
    if (walLimitMs === undefined) return;
    const trouble = () => source.archiverTrouble(signal);
    await waitForWal(need, { store, log, limitMs: walLimitMs, trouble, signal });
  }

  #ownFacts(
    uploads: PartUploads,
    tablespaces: readonly ClusterTablespace[],
    start: BackupStart,
    end: BackupEnd,
    damaged: Damage,
  ): OwnFacts {
    const { source, withConfig } = this.#options;
    const { control, postgresVersion, inRecovery } = source.facts;
    return {
      formatVersion: 1,
      toolVersion: VERSION,
      systemIdentifier: String(control.systemIdentifier),
      postgresVersion,
      segmentBytes: control.segmentBytes,
      startLsn: formatLsn(start.lsn),
      stopLsn: formatLsn(end.lsn),
      timeline: start.timeline,
      startTime: this.#begun.toISOString(),
      finishTime: new Date().toISOString(),
      fromStandby: inRecovery,
      offline: source.offline,
      dataChecksums: control.dataChecksums,
      parts: uploads.parts,
      tablespaceBytes: new Map(tablespaces.map(({ oid }) => [oid, uploads.tablespaceBytes.get(oid) ?? 0])),
      damagedPages: damaged.pages,
      damagedPageCount: damaged.count,
      hostname: hostname(),
      withConfig,
    };
  }

  #reportDamage({ pages, count }: Damage): void {
    if (count === 0) return;
    const named = pages.slice(0, NAMED_PAGES).map(({ file, block }) => `block ${block} of "${file}"`);
    const others = count > named.length ? ` and ${count - named.length} more` : '';
    this.#options.log.error('the cluster has pages with a wrong checksum', {
      detail: `${count} in all: ${named.join(', ')}${others}. They are recorded in the backup.`,
      hint: 'Find out what the disk did before it does more; an older backup may hold the pages undamaged.',
    });
  }

  #report(name: BackupName, uploads: PartUploads, bytes: number, seconds: number): void {
    const { log } = this.#options;
    const stored = uploads.parts.reduce((sum, { size }) => sum + size, 0);
    const duration = (Date.now() - this.#begun.getTime()) / 1000;
    log.info('the base backup is complete', {
      detail:
        `${name}: ${formatBytes(bytes)}, compressed ${formatBytes(stored)} in ${uploads.parts.length} parts, in ` +
        `${formatDuration(duration)}, ${formatBytes(bytes / Math.max(seconds, 0.001))}/s. ` +
        `${uploads.vanished} files vanished and ${uploads.shortened} became shorter while they were read.`,
      structured: {
        name,
        expanded_size_bytes: bytes,
        size_bytes: stored,
        seconds: Math.round(duration),
        state: 'complete',
      },
    });
  }
}

/** Where everything was, in the original's form. */
function backupSpec(dataDirectory: string, tablespaces: readonly ClusterTablespace[]): BackupSpec {
  return {
    basePrefix: `${dataDirectory}/`,
    tablespaces: new Map(tablespaces.map(({ oid, link, location }) => [oid, { loc: `${location}/`, link }])),
  };
}
