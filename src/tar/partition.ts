/**
 * Deals members out to the tar files of a backup (parts), in the order they come. Pure: of the members it looks only
 * at the size.
 */

export interface PartLimits {
  /** A part takes no further member once it would reach this many bytes. */
  readonly bytes: number;
  readonly members: number;
}

export interface Partition<Member> {
  /** From 0, without gaps. */
  readonly number: number;
  readonly members: readonly Member[];
  /** Sum of the members' sizes. */
  readonly bytes: number;
}

/** The original's limits: it refuses larger files, and readers of its time were built for parts of this size. */
export const MAX_PART_BYTES = 1610612736;
const MAX_PART_MEMBERS = 6144;

const MIN_PART_BYTES = 64 * 1024 * 1024;
const PARTS_PER_WORKER = 4;

/**
 * Limits for a cluster of that many bytes: several parts for each worker, so that they all have work to the end, but
 * no more and no larger ones than need be.
 */
export function partLimits(clusterBytes: number, workers: number): PartLimits {
  const even = Math.ceil(clusterBytes / (workers * PARTS_PER_WORKER));
  return { bytes: Math.min(Math.max(even, MIN_PART_BYTES), MAX_PART_BYTES), members: MAX_PART_MEMBERS };
}

/**
 * A member larger than the limit gets a part of its own; the part that was being filled is filled on. Numbers are given
 * at a part's first member, so the first member of all is the first of part 0.
 */
export async function* partitions<Member extends { readonly size: number }>(
  batches: AsyncIterable<readonly Member[]>,
  limits: PartLimits,
): AsyncGenerator<Partition<Member>> {
  let count = 0;
  let filling: Filling<Member> | undefined;
  for await (const batch of batches) {
    for (const member of batch) {
      if (member.size >= limits.bytes) {
        yield { number: count++, members: [member], bytes: member.size };
        continue;
      }
      if (filling !== undefined && isFull(filling, member.size, limits)) {
        yield filling;
        filling = undefined;
      }
      filling ??= { number: count++, members: [], bytes: 0 };
      filling.members.push(member);
      filling.bytes += member.size;
    }
  }
  if (filling !== undefined) yield filling;
}

interface Filling<Member> {
  readonly number: number;
  readonly members: Member[];
  bytes: number;
}

function isFull<Member>(part: Filling<Member>, nextBytes: number, limits: PartLimits): boolean {
  return part.bytes + nextBytes >= limits.bytes || part.members.length >= limits.members;
}

const HELD_PARTS = 16;

/**
 * The same partitions, larger ones earlier, as far as that can be seen by holding back a few: a large file that came
 * last would keep one worker busy when all others have nothing left to do.
 */
export async function* largestFirst<Member>(
  parts: AsyncIterable<Partition<Member>>,
): AsyncGenerator<Partition<Member>> {
  const held: Partition<Member>[] = [];
  let members = 0;
  const takeLargest = () => {
    held.sort((a, b) => a.bytes - b.bytes);
    const part = held.pop();
    members -= part?.members.length ?? 0;
    return part;
  };
  for await (const part of parts) {
    held.push(part);
    members += part.members.length;
    if (held.length < HELD_PARTS && members <= MAX_PART_MEMBERS) continue;
    const largest = takeLargest();
    if (largest !== undefined) yield largest;
  }
  for (let part = takeLargest(); part !== undefined; part = takeLargest()) yield part;
}
