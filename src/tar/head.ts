/**
 * What stands before a member's content in a tar: its header, and before that the records with what a header cannot
 * hold. Gathered record by record in front of tar-stream, which reads the headers themselves (POSIX.1-2017 pax; GNU tar
 * manual, "Basic Tar Format"), but which
 * - would keep in memory as many of these records as an archive says there are;
 * - skips zeros wherever they are, and goes on with what follows the end;
 * - reads PAX records of any form, and turns names that are not UTF-8 into others.
 */
import { damaged } from './damage.ts';
import { RECORD_BYTES } from './header.ts';
import { readPax } from './read-pax.ts';

export interface Head {
  /** For tar-stream: whole records, in memory of their own. */
  readonly bytes: Uint8Array;
  /** The member's type: `0` a file, `5` a directory, `2` a symbolic link, ... */
  readonly flag: string;
  /** Key -> value, both byte strings. */
  readonly pax: ReadonlyMap<string, string>;
}

/** All that may stand before one content; a path has 4096 bytes at most. */
const MAX_HEAD_BYTES = 1024 * 1024;
/** A tar ends with two records of zeros. */
const END_RECORDS = 2;
const NOTHING: ReadonlyMap<string, string> = new Map();

export class MemberHead {
  #bytes = Buffer.allocUnsafeSlow(4 * RECORD_BYTES);
  #filled = 0;
  /** Where the header or the payload that is being gathered begins and ends. */
  #start = 0;
  #wanted = RECORD_BYTES;
  /** The header whose payload is being gathered. */
  #extension: { readonly flag: string; readonly size: number } | undefined;
  #pax = NOTHING;
  #complete: Head | undefined;
  #endRecords = 0;

  /** Takes the bytes up to the end of a record, or all; returns how many. */
  take(bytes: Uint8Array): number {
    const taken = Math.min(this.#wanted - this.#filled, bytes.length);
    this.#bytes.set(bytes.subarray(0, taken), this.#filled);
    this.#filled += taken;
    if (this.#filled === this.#wanted) {
      if (this.#extension === undefined) this.#header(this.#bytes.subarray(this.#start, this.#filled));
      else this.#payload(this.#extension);
    }
    return taken;
  }

  /** The head that is complete now; the next begins with the next `take`. */
  complete(): Head | undefined {
    const head = this.#complete;
    this.#complete = undefined;
    return head;
  }

  /** Throws when the tar is cut. */
  end(): void {
    if (this.#filled > 0) throw damaged('the end is within a header');
    if (this.#endRecords < END_RECORDS) throw damaged('the records of zeros that end a tar are missing');
  }

  #header(record: Buffer): void {
    if (record.every((byte) => byte === 0)) {
      if (this.#start > 0) throw damaged('its end is within a header');
      this.#endRecords += 1;
      this.#filled = 0;
      return;
    }
    if (this.#endRecords > 0) throw damaged('something follows the records that end it');
    const flag = record[156] === 0 ? '0' : String.fromCharCode(record[156] ?? 0);
    if ('xgLK'.includes(flag)) this.#extend(flag, record);
    else this.#finish(flag);
  }

  #extend(flag: string, record: Buffer): void {
    const digits = /^ *([0-7]{1,11})[ \0]*$/.exec(record.toString('latin1', 124, 136))?.[1];
    if (digits === undefined) throw damaged('the size of the records about a member is not a number');
    const size = Number.parseInt(digits, 8);
    if (size > 0) {
      this.#extension = { flag, size };
      this.#expect(Math.ceil(size / RECORD_BYTES) * RECORD_BYTES);
    } else {
      // It says nothing.
      this.#drop();
    }
  }

  #payload({ flag, size }: { readonly flag: string; readonly size: number }): void {
    const bytes = this.#bytes.subarray(this.#start, this.#start + size);
    this.#extension = undefined;
    if (flag === 'x') this.#pax = readPax(bytes);
    if (flag === 'g') {
      // Of the archive as a whole: nothing of that is wanted, so tar-stream need not see it.
      readPax(bytes);
      this.#start -= RECORD_BYTES;
      this.#drop();
    } else {
      this.#expect(RECORD_BYTES);
    }
  }

  #finish(flag: string): void {
    this.#complete = { bytes: new Uint8Array(this.#bytes.subarray(0, this.#filled)), flag, pax: this.#pax };
    this.#pax = NOTHING;
    this.#filled = 0;
    this.#start = 0;
    this.#wanted = RECORD_BYTES;
  }

  /** Forgets what was gathered since `#start`. */
  #drop(): void {
    this.#filled = this.#start;
    this.#wanted = this.#start + RECORD_BYTES;
  }

  #expect(bytes: number): void {
    this.#start = this.#filled;
    this.#wanted = this.#filled + bytes;
    if (this.#wanted > MAX_HEAD_BYTES) throw damaged('the records about a member are too long');
    if (this.#wanted <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(MAX_HEAD_BYTES);
    larger.set(this.#bytes.subarray(0, this.#filled));
    this.#bytes = larger;
  }
}
