/** What happened on which timeline, and so what a backup leads to. */

/** LSNs as bytes. */
export interface Place {
  readonly timeline: number;
  readonly lsn: bigint;
}

/** A moment that must be restorable as long as a backup that leads to it is kept. */
export interface Point extends Place {
  readonly name: string;
  /** After it and before the next commit. */
  readonly time: string;
  readonly fingerprint: string;
}

/** `lsn`: at the latest, it ends there. */
export interface Backup extends Place {
  readonly name: string;
}

export interface Way {
  readonly backup: Backup;
  readonly point: Point;
}

export function parseLsn(text: string): bigint {
  const [high = '', low = ''] = text.trim().split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function formatLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

export class Past {
  readonly points: Point[] = [];
  /** Kept ones, in the order in which they were made. */
  backups: Backup[] = [];
  /** Where each timeline left another one; the first has no entry. */
  readonly #forks = new Map<number, Place>();

  /** `history`: content of the timeline's history file. */
  addTimeline(timeline: number, history: string): void {
    const lines = [...history.matchAll(/^(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/gm)];
    const children = [...lines.slice(1).map(([, parent]) => Number(parent)), timeline];
    for (const [at, [, parent, lsn = '']] of lines.entries()) {
      const child = children[at] ?? timeline;
      // Of a promotion that was interrupted the next one's history tells.
      if (!this.#forks.has(child)) this.#forks.set(child, { timeline: Number(parent), lsn: parseLsn(lsn) });
    }
  }

  /** Each point with each backup that leads to it. */
  ways(): Way[] {
    return this.points.flatMap((point) =>
      this.backups.filter((backup) => this.leadsTo(backup, point)).map((backup) => ({ backup, point })),
    );
  }

  leadsTo(backup: Place, place: Place): boolean {
    if (backup.timeline === place.timeline) return backup.lsn <= place.lsn;
    const fork = this.#forks.get(place.timeline);
    if (fork === undefined) return false;
    const lsn = fork.lsn < place.lsn ? fork.lsn : place.lsn;
    return this.leadsTo(backup, { timeline: fork.timeline, lsn });
  }
}
