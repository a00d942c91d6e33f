/** What the main thread and an extracting worker say to each other. Everything here survives a structured clone. */
import type { Extracted } from '../tar/extract.ts';
import type { ChunkSlots } from './chunk-slots.ts';

/** Where members go; the same for all parts of a restore. */
export interface ExtractPlace {
  readonly root: string;
  /** Member path of a folder -> absolute directory that stands for it. */
  readonly mounts: ReadonlyMap<string, string>;
  /** Tablespaces without a mount are folders of the data directory, as they were on the source. */
  readonly inPlaceTablespaces: boolean;
  /** Owners as in the archive (only root can give files away). */
  readonly keepOwners: boolean;
  /** Milliseconds since 1970: what is younger was written by this run. */
  readonly startedMs: number;
}

/** What a thread is started with. */
export interface ExtractorData {
  readonly place: ExtractPlace;
  readonly slots: ChunkSlots;
}

export type ToExtractor =
  /** `again`: files of an earlier attempt at this part may be there. */
  | { readonly kind: 'part'; readonly again: boolean }
  /** Bytes of the part: the first `length` of a slot. */
  | { readonly kind: 'chunk'; readonly turn: number; readonly length: number }
  | { readonly kind: 'end' }
  /** The rest of the part will not come: clean up, answer `failed`. */
  | { readonly kind: 'abandon' };

export type FromExtractor =
  /** The oldest chunk was worked up, its slot is free. `plain`: bytes of files that were written for it. */
  | { readonly kind: 'taken'; readonly plain: number }
  | { readonly kind: 'done'; readonly extracted: Extracted }
  | { readonly kind: 'failed'; readonly failure: ExtractFailure };

export interface ExtractFailure {
  /**
   * `damage`: what arrived is damaged, and fetching it again may help; `refused`: it holds what must not be extracted;
   * `system`: the operating system said no; `bug`: anything else.
   */
  readonly cause: 'damage' | 'refused' | 'system' | 'bug';
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}
