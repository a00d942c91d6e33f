/**
 * Names of files in a database's folder (PostgreSQL: `relpath.h`, "Database File Layout"): a number, `_fsm`, `_vm` or
 * `_init` for a fork, `.N` for a segment of a large relation; with `tN_` in front when it belongs to a session.
 */
export interface RelationFile {
  /** The relfilenode, as text. */
  readonly node: string;
  readonly fork: 'main' | 'fsm' | 'vm' | 'init';
  /** Number of the segment, from 0. */
  readonly segment: number;
  readonly temporary: boolean;
}

const NAME = /^(t\d+_)?(\d+)(?:_(fsm|vm|init))?(?:\.(\d+))?$/;
const DATABASE_FOLDER = /^(?:base\/\d+|pg_tblspc\/\d+\/PG_[^/]+\/\d+)$/;
const FORKS = new Map([
  ['fsm', 'fsm'],
  ['vm', 'vm'],
  ['init', 'init'],
] as const);

/** undefined when it is not a relation's file. */
export function relationFile(name: string): RelationFile | undefined {
  const match = NAME.exec(name);
  if (match?.[2] === undefined) return undefined;
  const [, session, node, fork, segment] = match;
  return {
    node,
    fork: FORKS.get(fork as 'fsm') ?? 'main',
    segment: Number(segment ?? 0),
    temporary: session !== undefined,
  };
}

/** Does this folder (relative to the data directory) hold the relations of one database? `global` holds shared ones. */
export function isDatabaseFolder(folder: string): boolean {
  return DATABASE_FOLDER.test(folder);
}

/** Number of the first block of a relation's file when it is made of pages with checksums, else undefined. */
export function firstBlock(path: string, segmentBlocks: number): number | undefined {
  const slash = path.lastIndexOf('/');
  const folder = path.slice(0, slash);
  if (folder !== 'global' && !isDatabaseFolder(folder)) return undefined;
  const file = relationFile(path.slice(slash + 1));
  return file === undefined ? undefined : file.segment * segmentBlocks;
}
