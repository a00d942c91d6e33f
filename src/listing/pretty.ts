/** `--pretty`: a table for people. The widths are fixed, so that lines can be written before the last backup is known. */
import { describeCold } from '../archive/cold-storage.ts';
import { segmentTimeline } from '../postgres/segment.ts';
import { formatBytes, formatDuration } from '../progress.ts';
import type { ListedBackup } from './listed-backup.ts';

type Column = readonly [title: string, width: number, align: 'left' | 'right'];

const COLUMNS: readonly Column[] = [
  ['NAME', 38, 'left'],
  ['FINISHED (UTC)', 19, 'left'],
  ['AGE', 11, 'right'],
  ['TOOK', 12, 'right'],
  ['SIZE', 8, 'right'],
  ['STORED', 8, 'right'],
  ['TIMELINE', 8, 'right'],
  ['POSTGRESQL', 10, 'left'],
  ['STATE', 5, 'left'],
];

export function prettyHeader(): string {
  return row(COLUMNS.map(([title]) => title));
}

export function prettyLine(backup: ListedBackup, now: Date): string {
  const { sentinel } = backup;
  const own = sentinel?.own;
  const finished = own === undefined ? backup.modified : new Date(own.finishTime);
  const took =
    own === undefined ? undefined : (Date.parse(own.finishTime) - Date.parse(own.startTime)) / 1000;
  return row([
    backup.name,
    finished?.toISOString().slice(0, 19).replace('T', ' ') ?? '-',
    finished === undefined ? '-' : formatDuration((now.getTime() - finished.getTime()) / 1000),
    took === undefined ? '-' : formatDuration(took),
    sentinel === undefined ? '-' : formatBytes(sentinel.expandedSizeBytes),
    formatBytes(backup.storedBytes),
    String(segmentTimeline(backup.startSegment)),
    backup.postgresVersion ?? '-',
    stateText(backup),
  ]);
}

function stateText({ state, error, sentinel, cold }: ListedBackup): string {
  const damaged = sentinel?.own?.damagedPageCount ?? 0;
  return [
    error === undefined ? state : `${state}: ${error}`,
    damaged > 0 ? `${damaged} damaged pages` : undefined,
    describeCold(cold),
  ]
    .filter(Boolean)
    .join(', ');
}

function row(cells: readonly string[]): string {
  const padded = cells.map((cell, index) => {
    const [, width, align] = COLUMNS[index] ?? ['', 0, 'left'];
    return align === 'left' ? cell.padEnd(width) : cell.padStart(width);
  });
  return `${padded.join('  ').trimEnd()}\n`;
}
