/**
 * tar bytes -> members, over tar-stream. The caller's blocks may be views of memory that is used again: a block that
 * lies wholly within one file's content goes through as it is (nearly all of them, in a database), every other one is
 * copied first, since the decoder keeps what it cannot use yet.
 */
import { extract } from 'tar-stream';
import { DataError } from '../errors.ts';
import { type Member, type TarHeader, toMember } from './member.ts';

/** What becomes of the members, one after the other. Throwing from any of these ends the extraction. */
export interface MemberSink {
  begin(member: Member): void;
  /** `bytes` is only valid during the call. */
  data(bytes: Uint8Array): void;
  end(): void;
}

// Below this the decoder may hold a piece back for a moment.
const MIN_SHARED_BYTES = 64 * 1024;
const BLOCK = 512;
/** A tar ends with two blocks of zeros. */
const END_BYTES = 2 * BLOCK;

export class Untar {
  // With a mark of 0 every write is answered by a drain, when the decoder is done with it.
  readonly #extract = extract({ highWaterMark: 0 });
  readonly #sink: MemberSink;
  #bodyLeft = 0;
  #open = false;
  #fed = 0;
  #zeros = 0;
  #failure: unknown;
  #wake: (() => void) | undefined;

  constructor(sink: MemberSink) {
    this.#sink = sink;
    this.#extract.on('entry', (header, stream, next) => {
      this.#guard(() => this.#begin(header));
      stream.on('data', (bytes) => this.#guard(() => this.#data(bytes)));
      stream.on('end', () => {
        this.#guard(() => this.#end());
        next();
      });
      stream.on('error', () => undefined);
    });
    this.#extract.on('drain', () => this.#wake?.());
    this.#extract.on('close', () => this.#wake?.());
    this.#extract.on('error', (error: Error) => {
      this.#failure ??= damaged(error.message);
    });
  }

  /** Resolves when `block` may be used again. */
  async write(block: Uint8Array): Promise<void> {
    if (block.length === 0) return;
    const left = this.#bodyLeft;
    const shared = left > block.length && block.length >= MIN_SHARED_BYTES;
    this.#fed += block.length;
    this.#zeros = trailingZeros(block, this.#zeros);
    await this.#settled(() => this.#extract.write(shared ? block : block.slice()));
    if (shared && this.#bodyLeft !== left - block.length)
      throw new Error('the tar decoder kept a block that may be overwritten');
  }

  /** Resolves when the last member has ended; rejects when the tar is cut. */
  async end(): Promise<void> {
    await this.#settled(() => this.#extract.end(null));
    if (this.#open) throw damaged('The tar ends within a member');
    if (this.#fed % BLOCK !== 0 || this.#zeros < END_BYTES)
      throw damaged('The tar ends without its two blocks of zeros');
  }

  /** After a failure: lets go of everything. */
  abort(): void {
    this.#extract.destroy(null);
  }

  async #settled(action: () => void): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      action();
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  #begin(header: TarHeader): void {
    const member = toMember(header);
    this.#bodyLeft = member.size;
    this.#open = true;
    this.#sink.begin(member);
  }

  #end(): void {
    this.#open = false;
    this.#sink.end();
  }

  #data(bytes: unknown): void {
    if (!(bytes instanceof Uint8Array)) throw new TypeError('the tar decoder yields bytes');
    this.#bodyLeft -= bytes.length;
    this.#sink.data(bytes);
  }

  #guard(action: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      action();
    } catch (error) {
      this.#failure = error;
      this.#extract.destroy(null);
    }
  }
}

function trailingZeros(block: Uint8Array, before: number): number {
  let count = 0;
  while (count < END_BYTES && count < block.length && block[block.length - 1 - count] === 0) count += 1;
  return count === block.length ? Math.min(END_BYTES, before + count) : count;
}

function damaged(reason: string): DataError {
  return new DataError('a part of the base backup is not a whole tar', { detail: `${reason}.` });
}
