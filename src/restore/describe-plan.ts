/** A plan in words, for --dry-run. */
import { formatBytes } from '../progress.ts';
import { isComplete } from './marker.ts';
import type { Plan } from './plan.ts';

export function describePlan(plan: Plan, recovery: readonly string[]): string {
  const { backup, sentinel, target, tablespaces, parts, resumed, bytesLeft } = plan;
  const { own } = sentinel;
  const packed = parts.reduce((sum, { size }) => sum + size, 0);
  const facts = [
    `backup       ${backup.name}`,
    ...(own === undefined
      ? []
      : [`finished     ${own.finishTime}, LSN ${own.stopLsn}, timeline ${own.timeline}`]),
    `parts        ${parts.length}, ${formatBytes(packed)} in the store, ${formatBytes(sentinel.expandedSizeBytes)} restored`,
    ...(resumed === undefined
      ? []
      : [
          `resumed      ${parts.filter((part) => isComplete(resumed, part)).length} parts are there already, ${formatBytes(bytesLeft)} are left`,
        ]),
    `directory    ${target.directory}`,
    ...tablespaces.map(
      ({ oid, location, source }) =>
        `tablespace   ${oid} at ${location}${source === undefined ? '' : `, was at ${source}`}`,
    ),
    ...recovery,
  ];
  return `${facts.join('\n')}\nNothing was written: this is a dry run.\n`;
}
