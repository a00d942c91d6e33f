/**
 * tar bytes -> members, over tar-stream. In front of it stands a guard (`MemberHead`) for what tar-stream does not look
 * after: memory for endless records, what follows the end, and names that are not UTF-8. The caller's blocks may be
 * views of memory that is used again: large pieces of a file's content go through as they are, since tar-stream is done
 * with them when it asks for more (which is checked); small ones, which it may hold back for a moment, are copied.
 */
import { type Extract, type ExtractEvents, extract, type Header } from 'tar-stream';
import { damaged } from './damage.ts';
import { type Head, MemberHead } from './head.ts';
import { RECORD_BYTES } from './header.ts';
import { type Member, toMember } from './member.ts';

/** What becomes of the members, one after the other. Throwing from any of these ends the extraction. */
export interface MemberSink {
  begin(member: Member): void;
  /** `bytes` is only valid during the call. */
  data(bytes: Uint8Array): void;
  end(): void;
}

type Content = ExtractEvents['entry'][1];

// Headers come as byte strings. With a mark of 0 every write is answered by a drain, when tar-stream is done with it.
const OPTIONS = { highWaterMark: 0, filenameEncoding: 'latin1' };
// A piece above tar-stream's mark (16 KiB) is read before the next is asked for.
const MIN_SHARED_BYTES = 64 * 1024;
const ZEROS = new Uint8Array(RECORD_BYTES);

export class Untar {
  readonly #decoder: Extract = extract(OPTIONS);
  readonly #sink: MemberSink;
  readonly #gathering = new MemberHead();
  /** What was fed last, while its member is under way. */
  #head: Head | undefined;
  #inMember = false;
  /** Bytes of content that tar-stream has not got yet, and that it has not given back yet. */
  #toFeed = 0;
  #toCome = 0;
  /** Bytes in the blocks after a content that only fill up its last record. */
  #paddingLeft = 0;
  #drained = true;
  #failure: unknown;
  #wake: () => void = () => undefined;

  constructor(sink: MemberSink) {
    this.#sink = sink;
    this.#decoder.on('entry', (header, content, next) => {
      this.#guard(() => this.#begin(header));
      this.#follow(content, next);
    });
    this.#decoder.on('drain', () => {
      this.#drained = true;
      this.#wake();
    });
    this.#decoder.on('error', (error: Error) => {
      this.#failure ??= damaged(`tar-stream found: ${error.message}`);
    });
    this.#decoder.on('close', () => {
      this.#failure ??= new Error('tar-stream has ended');
      this.#wake();
    });
  }

  /** Resolves when `block` may be used again. */
  async write(block: Uint8Array): Promise<void> {
    for (let at = 0; at < block.length; ) {
      if (this.#toFeed > 0) at += await this.#content(block.subarray(at));
      else if (this.#paddingLeft > 0) at += this.#padding(block.length - at);
      else at += await this.#records(block.subarray(at));
    }
  }

  /** Rejects when the tar is cut. */
  async end(): Promise<void> {
    if (this.#inMember) throw damaged('the end is within a member');
    if (this.#paddingLeft > 0) throw damaged('the end is within a header');
    this.#gathering.end();
    this.#decoder.destroy();
  }

  /** After a failure: lets go of everything. */
  abort(): void {
    this.#decoder.destroy();
  }

  async #records(bytes: Uint8Array): Promise<number> {
    const taken = this.#gathering.take(bytes);
    this.#head = this.#gathering.complete();
    if (this.#head === undefined) return taken;
    await this.#feed(this.#head.bytes);
    if (this.#head !== undefined) throw damaged('a header is not one');
    if (this.#toFeed === 0) await this.#until(() => !this.#inMember);
    return taken;
  }

  async #content(available: Uint8Array): Promise<number> {
    const piece = available.subarray(0, this.#toFeed);
    const shared = piece.length >= MIN_SHARED_BYTES;
    this.#toFeed -= piece.length;
    await this.#feed(shared ? piece : new Uint8Array(piece));
    if (shared && this.#toCome !== this.#toFeed)
      throw new Error('tar-stream kept a block that may be overwritten');
    if (this.#toFeed === 0) await this.#endContent();
    return piece.length;
  }

  async #endContent(): Promise<void> {
    if (this.#paddingLeft > 0) await this.#feed(ZEROS.subarray(0, this.#paddingLeft));
    await this.#until(() => !this.#inMember);
  }

  #padding(available: number): number {
    const taken = Math.min(this.#paddingLeft, available);
    this.#paddingLeft -= taken;
    return taken;
  }

  async #feed(bytes: Uint8Array): Promise<void> {
    this.#drained = false;
    this.#decoder.write(bytes);
    await this.#until(() => this.#drained);
  }

  async #until(done: () => boolean): Promise<void> {
    while (this.#failure === undefined && !done()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #begin(header: Header): void {
    if (this.#head === undefined) throw damaged('a header hides in another');
    const member = toMember(header, this.#head);
    this.#head = undefined;
    this.#inMember = true;
    this.#toFeed = member.size;
    this.#toCome = member.size;
    this.#paddingLeft = (RECORD_BYTES - (member.size % RECORD_BYTES)) % RECORD_BYTES;
    this.#sink.begin(member);
  }

  #follow(content: Content, next: () => void): void {
    content.on('data', (bytes) =>
      this.#guard(() => {
        if (!(bytes instanceof Uint8Array)) throw new TypeError('tar-stream gives bytes');
        this.#toCome -= bytes.length;
        this.#sink.data(bytes);
      }),
    );
    content.on('end', () => {
      this.#guard(() => {
        this.#inMember = false;
        this.#sink.end();
      });
      next();
      this.#wake();
    });
    content.on('error', () => undefined);
  }

  /** Nothing may be thrown into tar-stream. */
  #guard(action: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      action();
    } catch (error) {
      this.#failure = error;
      this.#decoder.destroy();
    }
  }
}
