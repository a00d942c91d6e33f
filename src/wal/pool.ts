/**
 * The named segment and the neighbours that wait with it, side by side. Packing is what costs, so there is a lane for
 * each thread that packs; puts run beside it, as many as their compressed bytes fit in memory.
 */
import { availableParallelism } from 'node:os';
import { isStoreFull, UserError } from '../errors.ts';
import { MAX_PACKED_AT_ONCE } from './pack.ts';
import { createPackers, type PackedFile, type Packer } from './packers.ts';
import { type PushContext, pushWalFile } from './push.ts';
import type { WalFile } from './wal-file.ts';

export interface PoolOptions {
  /** The named file's object is durable. */
  namedPushed?(): void;
  /** The neighbour's object is durable. */
  pushed(neighbour: WalFile): void;
  failed(neighbour: WalFile, error: unknown): void;
  /** How long the neighbours may take after the named one is done: PostgreSQL waits for our exit. */
  readonly neighbourMs?: number;
}

/** More threads than this would take the database's cores. */
const MOST_LANES = 4;
/** With fewer files the start of a thread costs more than it saves. */
const FILES_PER_LANE = 5;
/** Streams (encryption, or segments too large to be packed at once) at a time. */
const STREAM_LANES = 2;
/** A lane goes on packing while all objects, those that wait for the store and those in the making, hold less than this. */
const HELD_BYTES = 32 * 1024 * 1024;
const NEIGHBOUR_MS = 30_000;

/**
 * Resolves when `named` is durable; rejects with the failure of `named` only. Either way the neighbours have settled: what
 * they had begun to store is there whole or not at all.
 */
export async function pushPool(
  named: WalFile,
  neighbours: readonly WalFile[],
  context: PushContext,
  options: PoolOptions,
): Promise<void> {
  const files = [named, ...neighbours];
  const streamed = context.gpgKeyId !== undefined || named.size > MAX_PACKED_AT_ONCE;
  const width = Math.min(availableParallelism(), MOST_LANES, Math.ceil(files.length / FILES_PER_LANE));
  const packers = createPackers(streamed ? 1 : width);
  try {
    const pool = new Pool(named, files, context, options);
    const depthOf = (packer: Packer) => (streamed ? STREAM_LANES : packer.depth);
    // The last files are left to threads that are free, instead of waiting for one that is busy.
    const left = (depth: number) => (depth === 0 || streamed ? 0 : packers.length - 1);
    await Promise.all(
      packers.flatMap((packer) =>
        Array.from({ length: depthOf(packer) }, (_, depth) => pool.lane(packer, left(depth))),
      ),
    );
    await pool.settled();
  } finally {
    await Promise.all(packers.map((packer) => packer.close()));
  }
}

class Pool {
  readonly #named: WalFile;
  readonly #queue: WalFile[];
  readonly #context: PushContext;
  readonly #neighbourContext: PushContext;
  readonly #options: PoolOptions;
  /** Of the neighbours. */
  readonly #stop = new AbortController();
  readonly #puts = new Set<Promise<void>>();
  readonly #packs = new Set<Promise<PackedFile>>();
  /** Bytes of finished objects. */
  #held = 0;
  /** Bytes of the last one: the next will be about as large. */
  #usual = 0;
  #isNamedDone = false;
  #namedFailure: { readonly error: unknown } | undefined;
  #grace: NodeJS.Timeout | undefined;

  constructor(named: WalFile, files: readonly WalFile[], context: PushContext, options: PoolOptions) {
    this.#named = named;
    this.#queue = [...files];
    this.#context = context;
    this.#neighbourContext = {
      ...context,
      signal: AbortSignal.any([context.signal, this.#stop.signal]),
    };
    this.#options = options;
  }

  /** Takes file after file until no more than `left` are left or the pool was stopped. */
  async lane(packer: Packer, left: number): Promise<void> {
    for (;;) {
      while (this.#held + this.#packs.size * this.#usual >= HELD_BYTES) {
        await Promise.race([...this.#puts, ...this.#packs]).catch(() => undefined);
      }
      if (this.#queue.length <= left) return;
      const file = this.#neighbourContext.signal.aborted ? undefined : this.#queue.shift();
      if (file === undefined) return;
      if (this.#isStreamed(file)) await this.#settle(file, pushWalFile(file, this.#contextOf(file)));
      else await this.#packAndPut(file, packer);
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#puts);
    clearTimeout(this.#grace);
    // What stopped the pool later is the neighbours' matter.
    if (this.#isNamedDone) return;
    if (this.#namedFailure !== undefined) throw this.#namedFailure.error;
    this.#context.signal.throwIfAborted();
  }

  async #packAndPut(file: WalFile, packer: Packer): Promise<void> {
    try {
      const { pieces, bytes, release } = await this.#pack(file, packer);
      this.#held += bytes;
      // Of a put that was given up, a system call may still write them: then they are nobody's any more.
      const push = pushWalFile(file, this.#contextOf(file), pieces).then(release);
      const put = this.#settle(file, push).finally(() => {
        this.#held -= bytes;
        this.#puts.delete(put);
      });
      this.#puts.add(put);
    } catch (error) {
      await this.#settle(file, Promise.reject(error));
    }
  }

  async #pack(file: WalFile, packer: Packer): Promise<PackedFile> {
    const pack = packer.pack(file);
    this.#packs.add(pack);
    try {
      const packed = await pack;
      this.#usual = packed.bytes;
      return packed;
    } finally {
      this.#packs.delete(pack);
    }
  }

  /** Never rejects: the named file's failure stops the pool, a neighbour's is only told. */
  async #settle(file: WalFile, push: Promise<void>): Promise<void> {
    try {
      await push;
      if (file === this.#named) this.#namedPushed();
      else this.#options.pushed(file);
    } catch (error) {
      if (file === this.#named) this.#namedFailed(error);
      else this.#neighbourFailed(file, error);
    }
  }

  #namedFailed(error: unknown): void {
    this.#namedFailure = { error };
    this.#stop.abort(isStoreFull(error) ? inTheWay() : error);
  }

  /**
   * In a full store no other neighbour is begun, and what the others hold is the named one's, while it needs it. Those that
   * are given up with the named one's own failure have none: it would stand in the log once for each.
   */
  #neighbourFailed(neighbour: WalFile, error: unknown): void {
    if (error !== this.#namedFailure?.error) this.#options.failed(neighbour, error);
    if (!isStoreFull(error)) return;
    this.#queue.length = 0;
    if (!this.#isNamedDone) this.#stop.abort(inTheWay());
  }

  #namedPushed(): void {
    this.#isNamedDone = true;
    this.#options.namedPushed?.();
    const { neighbourMs = NEIGHBOUR_MS } = this.#options;
    this.#grace = setTimeout(() => this.#stop.abort(tooLate(neighbourMs)), neighbourMs);
  }

  #contextOf(file: WalFile): PushContext {
    return file === this.#named ? this.#context : this.#neighbourContext;
  }

  #isStreamed(file: WalFile): boolean {
    return this.#context.gpgKeyId !== undefined || file.size > MAX_PACKED_AT_ONCE;
  }
}

function tooLate(neighbourMs: number): UserError {
  return new UserError(`not archived within ${neighbourMs / 1000} s after the file that was asked for`);
}

function inTheWay(): UserError {
  return new UserError('given up, to leave the room in the archive to the file that was asked for');
}
