/** The report of a deletion and its outcome as a person reads them. */
import { shownKey } from '../archive/layout.ts';
import { formatBytes } from '../progress.ts';
import { formatCount, formatSome, formatTable } from '../text/table.ts';
import type { Report, ReportedWal } from './report.ts';
import { DRY_LINE } from './request.ts';
import type { Outcome } from './sweep.ts';
import { VERSIONS_LINE } from './versioned.ts';

export function formatReport(report: Report): string {
  const { wal } = report;
  const lines = [
    formatTable(
      ['action', 'backup', 'finished', '>size', 'restorable', 'why'],
      report.backups.map(({ action, name, finished, bytes, restorable, reason, problem }) => [
        action,
        name,
        finished ?? '-',
        formatBytes(bytes),
        restorable === null ? '-' : restorable ? 'yes' : 'NO',
        problem === null ? reason : `${reason} (${problem})`,
      ]),
    ),
    ...wal.kept.map((range) => `WAL kept:    ${rangeLine(range)}\n`),
    ...wal.deleted.map((range) => `WAL deleted: ${rangeLine(range)}\n`),
    `WAL segment size: ${wal.segmentBytes / 1024 ** 2} MB (${SIZE_SOURCES[wal.segmentBytesSource] ?? ''})\n`,
  ];
  if (wal.unreachableObjects > 0)
    lines.push(
      `Left alone: ${formatCount(wal.unreachableObjects, 'WAL file')} that no kept backup leads to\n`,
    );
  lines.push(...unknownLines(report), totalLine(report));
  return lines.join('');
}

const SHOWN_FOLDERS = 5;

function unknownLines({ unknownObjects, beside }: Report): string[] {
  const lines: string[] = [];
  const { objects, counted, problem, otherArchives, olderLayouts } = beside;
  if (unknownObjects > 0) {
    const where = objects > 0 ? `, ${objects} of them beside its two trees` : '';
    lines.push(`Left alone: ${formatCount(unknownObjects, 'object')} that WAL-E does not know${where}\n`);
  }
  if (otherArchives.length > 0)
    lines.push(
      `Left alone, not counted: ${formatCount(otherArchives.length, 'other archive')} under this prefix: ${shownFolders(otherArchives)}\n`,
    );
  if (olderLayouts.length > 0)
    lines.push(
      `Left alone, not counted: older layouts, which old-versions deletes: ${shownFolders(olderLayouts)}\n`,
    );
  if (counted === 'part') lines.push(`There may be more beside the two trees: ${shownKey(problem ?? '')}\n`);
  return lines;
}

function shownFolders(folders: readonly string[]): string {
  return formatSome(folders.map(shownKey), SHOWN_FOLDERS);
}

const SIZE_SOURCES: Readonly<Record<string, string>> = {
  sentinel: 'stated by a backup',
  contents: 'read from a segment',
  names: 'seen in the names',
  assumed: 'assumed: nothing in the archive tells',
};

function rangeLine({ timeline, first, last, segments, gaps }: ReportedWal): string {
  const holes = gaps === 0 ? '' : `, ${formatCount(gaps, 'gap')}`;
  return `timeline ${timeline}, ${first} to ${last} (${formatCount(segments, 'segment')}${holes})`;
}

function totalLine(report: Report): string {
  const backups = report.backups.filter(({ action }) => action === 'delete').length;
  const parts = [formatCount(backups, 'backup'), formatCount(report.wal.deletedObjects, 'WAL file')];
  if (report.leftovers > 0) parts.push(formatCount(report.leftovers, 'interrupted upload'));
  const amount = `${formatCount(report.objectsToDelete, 'object')}, ${formatBytes(report.bytesToDelete)}`;
  const verb = report.dryRun ? 'Would be deleted' : 'To be deleted';
  return `${verb}: ${parts.join(', ')}: ${amount}\n${report.keepsVersions ? VERSIONS_LINE : ''}${report.dryRun ? DRY_LINE : ''}`;
}

export function formatOutcome({ removed, failed, failures }: Outcome): string {
  const summary = `Deleted ${formatCount(removed, 'object')}.\n`;
  if (failed === 0) return summary;
  const rows = failures.map(({ key, reason }) => [shownKey(key), reason]);
  return `${summary}Not deleted: ${formatCount(failed, 'object')}.\n${formatTable(['key', 'reason'], rows)}`;
}
