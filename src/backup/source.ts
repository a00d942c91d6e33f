/** What a backup is made of, whether a server runs on it or not. */
import type { ControlData } from '../postgres/control-data.ts';

/** Known before anything is uploaded. */
export interface ClusterFacts {
  /** Absolute. */
  readonly dataDirectory: string;
  readonly control: ControlData;
  /** For extended_version.txt. */
  readonly versionText: string;
  readonly postgresVersion: number;
  readonly inRecovery: boolean;
}

export interface BackupStart {
  readonly lsn: bigint;
  readonly timeline: number;
}

/** Contents that the server gave, to be members of the last part. */
export interface BackupEnd {
  readonly lsn: bigint;
  readonly label: string | undefined;
  readonly tablespaceMap: string | undefined;
  /** Segments that recovery reads until the copy is consistent. */
  readonly firstSegment: string;
  readonly lastSegment: string;
}

export interface BackupSource {
  readonly facts: ClusterFacts;
  readonly offline: boolean;
  /** Aborts when the backup cannot be completed any more, since the server is gone. */
  readonly lost: AbortSignal | undefined;
  start(signal: AbortSignal): Promise<BackupStart>;
  /** After everything was read. Throws when what was read is no consistent backup. */
  stop(start: BackupStart, signal: AbortSignal): Promise<BackupEnd>;
  /** What keeps the server from archiving, if it says so. Never rejects. */
  archiverTrouble(signal: AbortSignal): Promise<string | undefined>;
  /** Ends the backup on the server if it was not stopped. Never rejects. */
  close(): Promise<void>;
}
