/** The members of a backup's tar files: what the walk of the cluster finds, and what comes last. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../log.ts';
import { type ClusterEntry, type Oddity, walkCluster } from '../postgres/cluster.ts';
import { CONTROL_FILE } from '../postgres/cluster-contents.ts';
import { readControlFile } from '../postgres/control-data.ts';
import { type ClusterTablespace, readTablespaces } from '../postgres/tablespaces.ts';
import { ownerNames } from './owner-names.ts';
import type { PartMember } from './part-protocol.ts';
import type { BackupEnd, ClusterFacts } from './source.ts';

export interface MemberOptions {
  readonly tablespaces: readonly ClusterTablespace[];
  readonly withConfig: boolean;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export async function* clusterMembers(
  facts: ClusterFacts,
  { tablespaces, withConfig, log, signal }: MemberOptions,
): AsyncGenerator<PartMember[]> {
  const owners = ownerNames();
  const odd = (oddity: Oddity) => sayOddity(oddity, log);
  for await (const batch of walk(facts, { tablespaces, withConfig, signal, odd })) {
    yield batch.map((entry) => ({
      ...entry,
      userName: owners.user(entry.uid),
      groupName: owners.group(entry.gid),
    }));
  }
}

/** Bytes that the backup will read, as far as that can be known beforehand. */
export async function clusterBytes(
  facts: ClusterFacts,
  withConfig: boolean,
  signal: AbortSignal,
): Promise<number> {
  const tablespaces = await readTablespaces(facts.dataDirectory);
  let bytes = 0;
  for await (const batch of walk(facts, { tablespaces, withConfig, signal, odd: () => undefined })) {
    for (const { size } of batch) bytes += size;
  }
  return bytes;
}

function walk(
  { dataDirectory, control }: ClusterFacts,
  options: Omit<MemberOptions, 'log'> & { readonly odd: (oddity: Oddity) => void },
): AsyncGenerator<readonly ClusterEntry[]> {
  return walkCluster({ dataDirectory, version: control.version, ...options });
}

function sayOddity({ kind, name }: Oddity, log: Log): void {
  const texts = {
    'dangling link': 'left out a symbolic link that leads nowhere',
    'special file': 'left out what is neither a file nor a folder',
    'folder behind a link': 'took a folder behind a symbolic link for a folder of the cluster',
  };
  log.warning(texts[kind], { detail: `It is "${name}" in the data directory.` });
}

/**
 * Reads the control file now; with the end of the backup it becomes the members of the last part. Its time and mode
 * are those of the file, owner and mode of the label those of the data directory's files.
 */
export async function lastMembers(facts: ClusterFacts): Promise<(end: BackupEnd) => PartMember[]> {
  const { bytes } = await readControlFile(facts.dataDirectory);
  const { mode, uid, gid, mtimeMs } = await stat(join(facts.dataDirectory, CONTROL_FILE));
  const owners = ownerNames();
  const member = (name: string, content: Uint8Array, changed: number): PartMember => ({
    kind: 'file',
    name,
    content,
    size: content.length,
    mode: mode & 0o7777,
    uid,
    gid,
    userName: owners.user(uid),
    groupName: owners.group(gid),
    mtimeMs: changed,
  });
  return ({ label, tablespaceMap }) => {
    const now = Date.now();
    const texts = [
      ['backup_label', label],
      ['tablespace_map', tablespaceMap],
    ] as const;
    const given = texts.flatMap(([name, text]) =>
      text === undefined ? [] : [member(name, Buffer.from(text, 'utf8'), now)],
    );
    return [...given, member(CONTROL_FILE, bytes, mtimeMs)];
  };
}
