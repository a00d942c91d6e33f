/** What wrong dates of WAL must and must not do where two systems have used an archive. */
import type { Model, ModelTimeline, ModelWal } from './model-facts.ts';
import { placeOfName, Scale } from './model-scale.ts';
import { isOverwritten, isReplaced, type ModelPin } from './oracle.ts';

/**
 * Whether delete believes that WAL is another system's because it bears a date long before what needs it by its name.
 * `unsure`: the headers of all of it would tell that it must not, but not all are read.
 */
export function beliefInDates(model: Model, held: readonly ModelPin[]): 'yes' | 'no' | 'unsure' {
  const replaced = model.wal.filter((wal) => isSegment(wal) && isReplaced(model, wal, held));
  if (replaced.length === 0) return 'yes';
  if (model.isSealed || replaced.some((wal) => isReachable(model, wal, held))) return 'no';
  const isNamed = (wal: ModelWal) =>
    held.some(
      ({ system, timeline, start }) =>
        system === wal.system && timeline <= wal.timeline && start <= wal.index,
    );
  return replaced.some(isNamed) ? 'unsure' : 'yes';
}

function isSegment({ key }: ModelWal): boolean {
  return !key.includes('.backup');
}

/** Whether recovery of something that stays comes to this segment, and finds all before it on the way. */
export function isReachable(model: Model, wal: ModelWal, held: readonly ModelPin[]): boolean {
  if (!isSegment(wal)) return false;
  const pins = held.filter(({ system }) => system === wal.system);
  const lines = model.timelines.filter((line) => line.system === wal.system);
  return pins.some((pin) => lines.some((line) => isOnWay(model, wal, pin, line)));
}

function isOnWay(model: Model, wal: ModelWal, pin: ModelPin, line: ModelTimeline): boolean {
  if (line.number !== pin.timeline && (!line.hasHistory || isOverwritten(model, line))) return false;
  const scale = new Scale(line.segmentBytes, model.segmentBytes);
  const way = [...line.ancestors, { timeline: line.number, index: Number.POSITIVE_INFINITY }];
  const from = way.findIndex(({ timeline }) => timeline === pin.timeline);
  if (from < 0) return false;
  const last = placeOfName(wal.key.slice(8, 32), line.segmentBytes);
  for (let index = scale.index(pin.start); index <= last; index += 1) {
    const place = scale.place(index);
    const leg = way.slice(from).find((ancestor) => place < ancestor.index);
    const found = model.wal.find(
      (other) =>
        other.system === wal.system &&
        other.timeline === leg?.timeline &&
        other.index === place &&
        isSegment(other),
    );
    if (found === undefined) return false;
    if (found.key === wal.key) return true;
  }
  return false;
}
