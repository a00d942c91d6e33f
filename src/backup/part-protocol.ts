/** What the main thread and the worker that makes parts say to one another. */
import type { TarMember } from '../tar/header.ts';
import type { ChunkRing } from './chunk-ring.ts';
import type { RateLimit } from './rate-limit.ts';

/** A member and where its bytes come from; size and time are taken again when it is opened. */
export type PartMember = TarMember & ({ readonly path: string } | { readonly content: Uint8Array });

/** How the pages of relation files are checked. */
export interface PageRules {
  readonly pageBytes: number;
  /** Blocks of a relation in one file. */
  readonly segmentBlocks: number;
}

/** For a worker's whole life. */
export interface WorkerSetup {
  readonly pages: PageRules | undefined;
  readonly rateLimit: RateLimit | undefined;
  /** False when the main thread changes the bytes once more (encryption) and hashes them itself. */
  readonly hashed: boolean;
  /** What the worker's chunks are written into: see `chunk-ring.ts`. */
  readonly ring: ChunkRing;
  /** One 64-bit cell for all workers: bytes read so far. */
  readonly progress: SharedArrayBuffer;
}

export interface PartOrder {
  readonly members: readonly PartMember[];
  /** For the lzop header. */
  readonly mtimeSeconds: number;
  /** LSN where the backup started; undefined when no server runs. */
  readonly start?: bigint | undefined;
}

/** A page that stayed unsound when it was read again. */
export interface UnsoundPage {
  /** Member name; byte string. */
  readonly file: string;
  /** Number of the block in its relation, as PostgreSQL's own messages count. */
  readonly block: number;
  /** In its header. */
  readonly lsn: bigint;
}

/** See damage.ts. */
export interface FoundPages {
  /** Damaged in any case: at most `MAX_LISTED_PAGES` of them, and how many there are. */
  readonly certain: readonly UnsoundPage[];
  readonly certainCount: number;
  /** Which the stop decides on: at most `MAX_LISTED_PAGES`, of the highest LSNs. */
  readonly open: readonly UnsoundPage[];
}

export interface PackedPart {
  /** Bytes of the lzop file, and its sha256 (hex; empty when not hashed). */
  readonly size: number;
  readonly sha256: string;
  /** Members that are in it, and the sum of their sizes. */
  readonly members: number;
  readonly expandedSize: number;
  /** Oid of a tablespace -> what of the sum is its files'. */
  readonly tablespaceBytes: ReadonlyMap<string, number>;
  readonly vanished: number;
  /** Files that became shorter while they were read, and were filled up with zeros. */
  readonly shortened: number;
  readonly unsound: FoundPages;
}

export type WorkerReport =
  | { readonly kind: 'chunk'; readonly bytes: number }
  | { readonly kind: 'packed'; readonly part: PackedPart }
  | { readonly kind: 'failed'; readonly message: string; readonly detail?: string; readonly hint?: string };
