/**
 * The smallest of a folder's names, however many it holds: what does not fit in the memory that is given is left out,
 * largest first, for another look at the folder. The names of WAL segments, of which there are millions, take 8 bytes.
 */

/** Units of 8 bytes that are held at most. */
const ROOM = 1024 * 1024;
/** What a name that is no segment's counts: a string of some 40 characters. */
const STRING_ROOM = 8;
/** Thirteen digits behind the timeline and three zeros are a number that a double holds exactly. */
const SEGMENT = /^[0-9A-F]{8}000[0-9A-F]{13}\.lzo$/;
const SUFFIX = '.lzo';

/** Names are byte strings, so that their order is that of their bytes. */
export class SmallestNames {
  readonly #room: number;
  readonly #segments = new Map<string, Numbers>();
  readonly #others: string[] = [];
  #used = 0;
  #after: string | undefined;
  /** The largest name that is still taken. */
  #limit: string | undefined;

  constructor(room = ROOM) {
    this.#room = room;
  }

  /** Names were left out: there are more behind the last of `ascending`. */
  get isPartial(): boolean {
    return this.#limit !== undefined;
  }

  /** Forgets all names; from now on only those behind `after` are taken. The memory is used again. */
  restart(after: string | undefined): void {
    for (const numbers of this.#segments.values()) numbers.truncate(0);
    this.#others.length = 0;
    this.#used = 0;
    this.#after = after;
    this.#limit = undefined;
  }

  add(name: string): void {
    if (this.#after !== undefined && name <= this.#after) return;
    if (this.#limit !== undefined && name > this.#limit) return;
    const numbers = this.#numbersFor(name);
    if (numbers === undefined) this.#others.push(name);
    else numbers.push(Number.parseInt(name.slice(8, 24), 16));
    this.#used += numbers === undefined ? STRING_ROOM : 1;
    if (this.#used >= this.#room) this.#halve();
  }

  *ascending(): Generator<string> {
    this.#others.sort();
    let next = 0;
    for (const segment of this.#segmentsAscending()) {
      for (; next < this.#others.length; next += 1) {
        const other = this.#others[next];
        if (other === undefined || other > segment) break;
        yield other;
      }
      yield segment;
    }
    for (; next < this.#others.length; next += 1) yield this.#others[next] ?? '';
  }

  *#segmentsAscending(): Generator<string> {
    for (const timeline of [...this.#segments.keys()].sort())
      for (const number of this.#segments.get(timeline)?.ascending() ?? [])
        yield timeline + number.toString(16).toUpperCase().padStart(16, '0') + SUFFIX;
  }

  /** undefined for a name that is not a segment's. */
  #numbersFor(name: string): Numbers | undefined {
    if (!SEGMENT.test(name)) return undefined;
    const timeline = name.slice(0, 8);
    let numbers = this.#segments.get(timeline);
    if (numbers === undefined) {
      numbers = new Numbers();
      this.#segments.set(timeline, numbers);
    }
    return numbers;
  }

  /** The smaller half stays, in place; at least one name. */
  #halve(): void {
    const kept = new Map<Numbers | undefined, number>();
    this.#used = 0;
    for (const name of this.ascending()) {
      const numbers = this.#numbersFor(name);
      kept.set(numbers, (kept.get(numbers) ?? 0) + 1);
      this.#limit = name;
      this.#used += numbers === undefined ? STRING_ROOM : 1;
      if (this.#used >= this.#room / 2) break;
    }
    this.#others.length = kept.get(undefined) ?? 0;
    for (const numbers of this.#segments.values()) numbers.truncate(kept.get(numbers) ?? 0);
  }
}

class Numbers {
  #values = new Float64Array(256);
  #count = 0;

  push(value: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count] = value;
    this.#count += 1;
  }

  /** Only the first `count` stay. */
  truncate(count: number): void {
    this.#count = count;
  }

  ascending(): Float64Array {
    return this.#values.subarray(0, this.#count).sort();
  }
}
