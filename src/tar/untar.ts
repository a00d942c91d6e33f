/**
 * tar bytes -> members, in one synchronous pass without a copy: the blocks may be views of memory that is used again as
 * soon as `write` returns. Not tar-stream's decoder: that one keeps pieces of what it is given, takes names that are not
 * UTF-8 for others, and lets pass a good deal that a base backup never holds; here everything is refused that is not
 * exactly a tar of files, folders and symbolic links. Memory: one header, and PAX records up to MAX_RECORDS_BYTES.
 */
import { type Member, toMember } from './member.ts';
import { damaged, type RawHeader, RECORD_BYTES, readHeader } from './read-header.ts';
import { readPax } from './read-pax.ts';

/** What becomes of the members, one after the other. Throwing from any of these ends the extraction. */
export interface MemberSink {
  begin(member: Member): void;
  /** `bytes` is only valid during the call. */
  data(bytes: Uint8Array): void;
  end(): void;
}

/** Long names and PAX records of one member; a path has 4096 bytes at most. */
const MAX_RECORDS_BYTES = 1024 * 1024;
/** A tar ends with two records of zeros. */
const END_RECORDS = 2;
const NOTHING: ReadonlyMap<string, string> = new Map();

export class Untar {
  readonly #sink: MemberSink;
  /** A header or the payload of one, as far as it has come. */
  #gathered = Buffer.allocUnsafeSlow(RECORD_BYTES);
  #filled = 0;
  #wanted = RECORD_BYTES;
  /** The header whose payload is being gathered. */
  #extension: RawHeader | undefined;
  #pax = NOTHING;
  #longName: string | undefined;
  #longLink: string | undefined;
  #bodyLeft = 0;
  #inMember = false;
  #paddingLeft = 0;
  #endRecords = 0;

  constructor(sink: MemberSink) {
    this.#sink = sink;
  }

  write(block: Uint8Array): void {
    for (let at = 0; at < block.length; ) {
      if (this.#bodyLeft > 0) at += this.#body(block, at);
      else if (this.#paddingLeft > 0) at += this.#padding(block.length - at);
      else at += this.#gather(block, at);
    }
  }

  /** Throws when the tar is cut. */
  end(): void {
    if (this.#inMember) throw damaged('the end is within a member');
    if (this.#filled > 0 || this.#paddingLeft > 0 || this.#extension !== undefined)
      throw damaged('the end is within a header');
    if (this.#endRecords < END_RECORDS) throw damaged('the records of zeros that end a tar are missing');
  }

  #body(block: Uint8Array, at: number): number {
    const taken = Math.min(this.#bodyLeft, block.length - at);
    this.#sink.data(block.subarray(at, at + taken));
    this.#bodyLeft -= taken;
    if (this.#bodyLeft === 0) this.#endMember();
    return taken;
  }

  #padding(available: number): number {
    const taken = Math.min(this.#paddingLeft, available);
    this.#paddingLeft -= taken;
    return taken;
  }

  #gather(block: Uint8Array, at: number): number {
    const taken = Math.min(this.#wanted - this.#filled, block.length - at);
    this.#gathered.set(block.subarray(at, at + taken), this.#filled);
    this.#filled += taken;
    if (this.#filled === this.#wanted) this.#complete(this.#gathered.subarray(0, this.#wanted));
    return taken;
  }

  #complete(bytes: Buffer): void {
    const extension = this.#extension;
    this.#filled = 0;
    this.#wanted = RECORD_BYTES;
    this.#extension = undefined;
    this.#paddingLeft = extension === undefined ? 0 : paddingOf(extension.size);
    if (extension === undefined) this.#header(readHeader(bytes));
    else if (extension.type === 'x') this.#pax = readPax(bytes);
    else if (extension.type === 'L') this.#longName = upToNul(bytes);
    else if (extension.type === 'K') this.#longLink = upToNul(bytes);
    else readPax(bytes);
  }

  #header(header: RawHeader | undefined): void {
    if (header === undefined) {
      this.#endRecords += 1;
      return;
    }
    if (this.#endRecords > 0) throw damaged('something follows the records that end it');
    if ('xgLK'.includes(header.type)) this.#extend(header);
    else this.#member(header);
  }

  #extend(header: RawHeader): void {
    if (header.size > MAX_RECORDS_BYTES) throw damaged('the records about a member are too long');
    if (this.#gathered.length < header.size) this.#gathered = Buffer.allocUnsafeSlow(MAX_RECORDS_BYTES);
    // An empty one says nothing.
    if (header.size === 0) return;
    this.#extension = header;
    this.#wanted = header.size;
  }

  #member(header: RawHeader): void {
    const member = toMember(header, this.#pax, this.#longName, this.#longLink);
    this.#pax = NOTHING;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#bodyLeft = member.size;
    this.#paddingLeft = 0;
    this.#inMember = true;
    this.#sink.begin(member);
    if (member.size === 0) this.#endMember();
    else this.#paddingLeft = paddingOf(member.size);
  }

  #endMember(): void {
    this.#inMember = false;
    this.#sink.end();
  }
}

function paddingOf(size: number): number {
  return (RECORD_BYTES - (size % RECORD_BYTES)) % RECORD_BYTES;
}

function upToNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}
