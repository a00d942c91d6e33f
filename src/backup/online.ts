/** A cluster with a server running on it. */
import { realpath, stat } from 'node:fs/promises';
import { UserError } from '../errors.ts';
import type { Log } from '../log.ts';
import { BackupControl } from '../postgres/backup-control.ts';
import { connect, type Session } from '../postgres/connection.ts';
import type { ConnectionSettings } from '../postgres/connection-settings.ts';
import { readControlFile } from '../postgres/control-data.ts';
import { type PostmasterFile, readPostmasterFile } from '../postgres/postmaster-file.ts';
import { formatLsn, segmentName } from '../postgres/segment.ts';
import { serverAddress } from '../postgres/server-address.ts';
import { formatDuration } from '../progress.ts';
import { anotherBackup } from './local-lock.ts';
import type { BackupEnd, BackupSource, BackupStart, ClusterFacts } from './source.ts';

export interface OnlineOptions {
  readonly connection: ConnectionSettings;
  readonly fastCheckpoint: boolean;
  /** The archiver of this very server is expected to work. */
  readonly needsArchiver: boolean;
  /** How long a server that stops a backup no earlier may wait for its archiver. */
  readonly archiverLimitMs: number;
  readonly log: Log;
}

/** Connects, and makes sure that the server is the one that runs on this data directory. */
export async function openOnline(
  dataDirectory: string,
  options: OnlineOptions,
  signal: AbortSignal,
): Promise<BackupSource> {
  // Says at once when this is no data directory, or one that this user may not read.
  await readControlFile(dataDirectory);
  const postmaster = await readPostmasterFile(dataDirectory);
  const address = serverAddress(options.connection, postmaster);
  const session = await connect(options.connection, address, signal);
  try {
    const control = await BackupControl.open(session, signal);
    await checkServer(dataDirectory, control, postmaster);
    if (options.needsArchiver) checkArchiver(control);
    if (!(await control.lock(signal))) throw anotherBackup('It holds the lock for it on the server.');
    const { data } = await readControlFile(dataDirectory);
    const { versionText, versionNumber: postgresVersion, inRecovery } = control.facts;
    const facts = { dataDirectory, control: data, versionText, postgresVersion, inRecovery };
    return new OnlineSource(facts, options, session, control);
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function checkServer(
  dataDirectory: string,
  { facts }: BackupControl,
  postmaster: PostmasterFile | undefined,
): Promise<void> {
  const { data } = await readControlFile(dataDirectory);
  if (data.systemIdentifier !== facts.systemIdentifier) {
    throw otherServer(
      `The server's system identifier is ${facts.systemIdentifier}, that of "${dataDirectory}" is ${data.systemIdentifier}.`,
      postmaster,
    );
  }
  if (facts.dataDirectory !== undefined && !(await isSameFolder(facts.dataDirectory, dataDirectory))) {
    throw otherServer(
      `The server's data directory is "${facts.dataDirectory}", not "${dataDirectory}".`,
      postmaster,
    );
  }
  if (postmaster === undefined) {
    throw otherServer(`No server runs on "${dataDirectory}": it has no postmaster.pid.`, postmaster);
  }
  if (facts.inRecovery === (data.state === 'in production')) {
    const server = facts.inRecovery ? 'a standby' : 'a primary';
    throw otherServer(`The server is ${server}; the control file says "${data.state}".`, postmaster);
  }
}

function otherServer(detail: string, postmaster: PostmasterFile | undefined): UserError {
  const { socketDirectory, port } = postmaster ?? {};
  const own =
    socketDirectory === undefined
      ? ''
      : ` Its own server listens at PGHOST=${socketDirectory} PGPORT=${port}.`;
  return new UserError('the data directory is not that of the server', {
    detail,
    hint: `Set PGHOST and PGPORT, or give the right directory.${own}`,
  });
}

async function isSameFolder(one: string, other: string): Promise<boolean> {
  const identities = await Promise.all([one, other].map((path) => identity(path)));
  return identities[0] !== undefined && identities[0] === identities[1];
}

async function identity(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(await realpath(path), { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

/** A standby leaves archiving to its primary, unless it archives always. */
function checkArchiver({ facts }: BackupControl): void {
  if (facts.inRecovery || facts.archiveMode !== 'off') return;
  throw new UserError('the server does not archive its WAL, without which a backup cannot be restored', {
    detail: 'The setting archive_mode is off.',
    hint: 'Turn archive_mode on, with wal-push in archive_command; or use --no-wal-check if something else fills the archive.',
  });
}

class OnlineSource implements BackupSource {
  readonly facts: ClusterFacts;
  readonly offline = false;
  readonly lost: AbortSignal;
  readonly #options: OnlineOptions;
  readonly #session: Session;
  readonly #control: BackupControl;
  #stopped = false;
  #started = false;

  constructor(facts: ClusterFacts, options: OnlineOptions, session: Session, control: BackupControl) {
    this.facts = facts;
    this.#options = options;
    this.#session = session;
    this.#control = control;
    this.lost = session.lost;
  }

  async start(signal: AbortSignal): Promise<BackupStart> {
    const { fastCheckpoint: fast, log } = this.#options;
    const { checkpointSeconds, inRecovery } = this.#control.facts;
    log.info('starting the backup on the server', {
      detail: fast
        ? 'The server makes a checkpoint at once.'
        : `The server makes a checkpoint, spread over up to ${formatDuration(checkpointSeconds)}.`,
      hint: fast ? undefined : 'With --fast-checkpoint it starts at once, at the price of a burst of writes.',
    });
    // The original's label: it tells a backup's time to whoever reads the history file in the archive.
    const label = `freeze_start_${new Date().toISOString().replace('Z', '000+00:00')}`;
    this.#started = true;
    const lsn = await this.#control.start(label, fast, signal);
    const { data } = await readControlFile(this.facts.dataDirectory);
    // The start made a checkpoint: a directory that knows nothing of it is a copy, or that of another standby.
    if (data.redo < lsn) {
      throw otherServer(
        `The backup starts at ${formatLsn(lsn)}; the control file knows no checkpoint after ${formatLsn(data.redo)}.`,
        undefined,
      );
    }
    log.info('the backup has started', {
      detail: `It starts at ${formatLsn(lsn)} on timeline ${data.timeline}${inRecovery ? ', on a standby' : ''}.`,
    });
    return { lsn, timeline: data.timeline };
  }

  async stop(start: BackupStart, signal: AbortSignal): Promise<BackupEnd> {
    if (this.#control.facts.version.stopWaitsForArchive) {
      this.#options.log.info('the server stops the backup when its archiver has the WAL of it');
    }
    const stopped = await this.#control.stop(this.#options.archiverLimitMs, signal);
    this.#stopped = true;
    const { segmentBytes } = this.facts.control;
    const firstSegment = segmentName(start.timeline, start.lsn, segmentBytes);
    if (stopped.startSegment !== firstSegment) {
      throw new UserError('the server changed its timeline while the backup started', {
        detail: `The server says that the backup starts in ${stopped.startSegment}, not in ${firstSegment}.`,
        hint: 'Start the backup again.',
      });
    }
    return {
      lsn: stopped.stop,
      label: stopped.label,
      tablespaceMap: stopped.tablespaceMap === '' ? undefined : stopped.tablespaceMap,
      firstSegment,
      lastSegment: segmentName(start.timeline, stopped.stop - 1n, segmentBytes),
    };
  }

  async archiverTrouble(signal: AbortSignal): Promise<string | undefined> {
    if (this.#control.facts.inRecovery)
      return 'The server is a standby: its primary must archive the segment. If that has little to write, SELECT pg_switch_wal() there.';
    return this.#control.archiverTrouble(signal).catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#session.close();
    if (this.#started && !this.#stopped) this.#options.log.info('the backup on the server was ended');
  }
}
