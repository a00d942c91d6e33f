/** A cluster that is shut down. Everything that is to be known is in its control file. */
import { UserError } from '../errors.ts';
import { type ControlData, readControlFile } from '../postgres/control-data.ts';
import { readPostmasterFile } from '../postgres/postmaster-file.ts';
import { segmentName } from '../postgres/segment.ts';
import type { BackupEnd, BackupSource, BackupStart } from './source.ts';

export async function openOffline(dataDirectory: string): Promise<BackupSource> {
  const { bytes, data } = await readControlFile(dataDirectory);
  await refuseServer(dataDirectory);
  if (data.state !== 'shut down' && data.state !== 'shut down in recovery') {
    throw new UserError('the cluster was not shut down cleanly', {
      detail: `Its control file says "${data.state}".`,
      hint: 'Start the server and stop it again (mode fast or smart), or back it up while it runs.',
    });
  }
  return {
    facts: {
      dataDirectory,
      control: data,
      versionText: `PostgreSQL ${data.version.name}`,
      postgresVersion: data.version.number,
      inRecovery: data.state === 'shut down in recovery',
    },
    offline: true,
    lost: undefined,
    start: async () => ({ lsn: data.redo, timeline: data.timeline }),
    async stop(start) {
      await refuseServer(dataDirectory);
      const now = await readControlFile(dataDirectory);
      // A standby that was started and stopped need not have made a checkpoint, but a server writes the time of its start.
      if (Buffer.compare(now.bytes, bytes) !== 0) throw wasStarted();
      return backupEnd(start, data);
    },
    archiverTrouble: async () => undefined,
    close: async () => undefined,
  };
}

async function refuseServer(dataDirectory: string): Promise<void> {
  const postmaster = await readPostmasterFile(dataDirectory);
  if (postmaster === undefined) return;
  throw new UserError('while_offline set, but pg looks to be running', {
    detail: `There is a postmaster.pid in "${dataDirectory}", of process ${postmaster.pid}.`,
    hint: 'Shut the server down, or leave --while-offline out.',
  });
}

function wasStarted(): UserError {
  return new UserError('the server was started during the backup', {
    detail: 'The control file has changed.',
    hint: 'Keep the server stopped until the backup is complete, or leave --while-offline out.',
  });
}

/** A standby is consistent no earlier than at its minimum recovery point. */
function backupEnd(start: BackupStart, data: ControlData): BackupEnd {
  const recordEnd = data.checkPoint + BigInt(data.version.checkpointRecordBytes);
  const isLater = data.minRecoveryPoint > recordEnd;
  const lsn = isLater ? data.minRecoveryPoint : recordEnd;
  const timeline = isLater ? Math.max(data.timeline, data.minRecoveryTimeline) : data.timeline;
  return {
    lsn,
    label: undefined,
    tablespaceMap: undefined,
    firstSegment: segmentName(start.timeline, start.lsn, data.segmentBytes),
    lastSegment: segmentName(timeline, lsn - 1n, data.segmentBytes),
  };
}
