/**
 * Which WAL segments go, decided for each as a listing of millions passes: pure, and quick after a first look at each
 * timeline. A segment is needed when it lies at or after the start of something that is kept ("pin"), on its timeline
 * or on one that may come from it there. Of what is not needed, only what lies behind goes: before a pin in its own
 * history, or with a number below every pin's.
 */
import { type History, type Place, relation } from './retention.ts';
import { indexOfLsn } from './wal-inventory.ts';

/** Something whose WAL must stay: a kept backup, one that is being made, one of another tool. */
export interface Pin extends Place {
  /** undefined where the archive does not state it. */
  readonly system: string | undefined;
  /** Its WAL cannot have been archived before this time; undefined when nothing is known. */
  readonly notBefore: Date | undefined;
}

export interface WalLimits {
  /** Nothing at or above this index goes (`before`). */
  readonly below: number | undefined;
  /** Several systems have used this prefix: a number alone does not tell whose a segment is. */
  readonly severalSystems: boolean;
  /** Dates do not tell either. */
  readonly datesAreDoubtful?: boolean;
  /** A segment archived after this time may come from a server that runs on a timeline no kept backup leads to. */
  readonly liveSince: Date;
  /** What was archived after this is not behind anything, whatever its number. */
  readonly spareSince?: Date | undefined;
}

/**
 * `needed`: by something that is kept. `behind`: goes. `replaced`: goes; its name could be needed, but it is older
 * than everything that could need it and is another system's. `beside`: nobody needs it, but it is not behind.
 */
export type WalVerdict = 'needed' | 'behind' | 'replaced' | 'beside';

interface Need {
  readonly index: number;
  /** The least of this pin and those before it, ms. */
  readonly notBefore: number;
  readonly system: string | undefined;
}

interface TimelineView {
  /** Ascending by index. */
  readonly needs: readonly Need[];
  /** Everything with a smaller index lies behind some pin in its own history. */
  readonly behindBelow: number;
}

export class WalRule {
  readonly #pins: readonly Pin[];
  readonly #history: History;
  readonly #limits: WalLimits;
  readonly #lowestPin: number;
  readonly #views = new Map<number, TimelineView>();

  constructor(pins: readonly Pin[], history: History, limits: WalLimits) {
    this.#pins = pins;
    this.#history = history;
    this.#limits = limits;
    this.#lowestPin = pins.reduce((lowest, { index }) => Math.min(lowest, index), Number.POSITIVE_INFINITY);
  }

  /** The same rule with more that must stay. */
  with(pins: readonly Pin[]): WalRule {
    return new WalRule([...this.#pins, ...pins], this.#history, this.#limits);
  }

  /** Without any pin nothing goes: there is no telling what the WAL is behind of. */
  judge({ timeline, index }: Place, archived: Date): WalVerdict {
    const view = this.#view(timeline);
    const need = lastUpTo(view.needs, index);
    if (need !== undefined) {
      const isOlder = archived.getTime() < need.notBefore && this.#limits.datesAreDoubtful !== true;
      return this.#limits.severalSystems && isOlder ? 'replaced' : 'needed';
    }
    if (this.#limits.below !== undefined && index >= this.#limits.below) return 'beside';
    if (this.#limits.spareSince !== undefined && archived > this.#limits.spareSince) return 'beside';
    if (index < view.behindBelow) return 'behind';
    return index < this.#lowestPin && this.#pins.length > 0 && archived < this.#limits.liveSince
      ? 'behind'
      : 'beside';
  }

  /** Systems of the pins that a segment at this place may be needed by. */
  systemsNeeding({ timeline, index }: Place): ReadonlySet<string | undefined> {
    const needing = this.#view(timeline).needs.filter((need) => need.index <= index);
    return new Set(needing.map(({ system }) => system));
  }

  /**
   * Whether a history that became known since may make more needed than was said: one that leads through a timeline
   * which was judged before.
   */
  isOutdated(): boolean {
    return [...this.#views].some(([timeline, { needs }]) => this.#needs(timeline).length > needs.length);
  }

  /** A timeline's history must be known before its first segment is judged, if it is to be known at all. */
  #view(timeline: number): TimelineView {
    const known = this.#views.get(timeline);
    if (known !== undefined) return known;
    const view = { needs: this.#needs(timeline), behindBelow: this.#behindBelow(timeline) };
    this.#views.set(timeline, view);
    return view;
  }

  #needs(timeline: number): TimelineView['needs'] {
    const { tree } = this.#history;
    const after = tree.timelines.filter(
      (later) => later > timeline && tree.left(timeline, later) !== undefined,
    );
    const needing = this.#pins
      .filter((pin) => pin.timeline <= timeline && this.#leadsTo(pin, timeline, after))
      .sort((a, b) => a.index - b.index);
    let notBefore = Number.POSITIVE_INFINITY;
    return needing.map((pin) => {
      notBefore = Math.min(notBefore, pin.notBefore?.getTime() ?? Number.NEGATIVE_INFINITY);
      return { index: pin.index, notBefore, system: pin.system };
    });
  }

  /**
   * With several systems a history file may be another system's, so every later timeline may come from the pin. Also
   * where backups do not show that there were several: then the histories of the timelines `after` this one tell.
   */
  #leadsTo(pin: Pin, timeline: number, after: readonly number[]): boolean {
    if (this.#limits.severalSystems) return true;
    const isNotApart = (end: number) =>
      relation(pin, { timeline: end, index: Number.POSITIVE_INFINITY }, this.#history) !== 'apart';
    return isNotApart(timeline) || after.some(isNotApart);
  }

  #behindBelow(timeline: number): number {
    let below = 0;
    for (const pin of this.#pins) {
      if (pin.timeline < timeline) continue;
      below = Math.max(below, Math.min(pin.index, this.#end(timeline, pin.timeline)));
    }
    return below;
  }

  /** First index of `timeline` that is not on the way to `descendant`; 0 when none is. */
  #end(timeline: number, descendant: number): number {
    const { tree, segmentBytes } = this.#history;
    const left = tree.left(timeline, descendant);
    if (left === 'itself') return Number.POSITIVE_INFINITY;
    if (left !== undefined) return indexOfLsn(left, segmentBytes) + 1;
    return descendant > 1 && tree.history(descendant) === undefined ? Number.POSITIVE_INFINITY : 0;
  }
}

/** The last of `needs` (ascending) whose index is not above `index`. */
function lastUpTo(needs: TimelineView['needs'], index: number): TimelineView['needs'][number] | undefined {
  let low = 0;
  let high = needs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((needs[middle]?.index ?? Number.POSITIVE_INFINITY) <= index) low = middle + 1;
    else high = middle;
  }
  return needs[low - 1];
}
