/** The trees of the layouts before this one, which `old-versions` deletes: what there is, and the same as text. */
import { type Key, OBSOLETE_PREFIXES } from '../archive/layout.ts';
import type { Log } from '../log.ts';
import { formatBytes } from '../progress.ts';
import type { Call, Leftover, Store } from '../store/store.ts';
import { formatCount, formatTable } from '../text/table.ts';
import { leftoversUnder } from './findings.ts';
import { DRY_LINE } from './request.ts';
import { keepsVersions, VERSIONS_LINE } from './versioned.ts';

export interface ObsoleteTree {
  /** With its slash. */
  readonly tree: string;
  readonly objects: number;
  readonly bytes: number;
}

/** For `--json`. */
export interface ObsoleteReport {
  readonly dryRun: boolean;
  readonly trees: readonly ObsoleteTree[];
  readonly leftovers: number;
  readonly objectsToDelete: number;
  readonly bytesToDelete: number;
  readonly keepsVersions: boolean;
}

/** Uploads in these trees that were interrupted before `youngSince`. */
export async function obsoleteLeftovers(
  store: Store,
  youngSince: Date,
  options: Call & { readonly log: Log },
): Promise<readonly Leftover[]> {
  const all = await leftoversUnder(store, OBSOLETE_PREFIXES, options);
  return all.filter(({ started }) => started <= youngSince);
}

export async function reportObsolete(
  store: Store,
  leftovers: readonly Leftover[],
  { dryRun, signal }: Call & { readonly dryRun: boolean },
): Promise<ObsoleteReport> {
  const trees: ObsoleteTree[] = [];
  let last: Key | undefined;
  for (const tree of OBSOLETE_PREFIXES) {
    let [objects, bytes] = [0, 0];
    for await (const page of store.list(tree, { signal }))
      for (const { key, size } of page) {
        objects += 1;
        bytes += size;
        last = key;
      }
    if (objects > 0) trees.push({ tree, objects, bytes });
  }
  const total = (amount: (tree: ObsoleteTree) => number) =>
    trees.reduce((sum, tree) => sum + amount(tree), 0);
  return {
    dryRun,
    trees,
    leftovers: leftovers.length,
    objectsToDelete: total(({ objects }) => objects) + leftovers.length,
    bytesToDelete: total(({ bytes }) => bytes),
    keepsVersions: await keepsVersions(last, store, { signal }),
  };
}

export function formatObsolete(report: ObsoleteReport): string {
  const rows = report.trees.map(({ tree, objects, bytes }) => [
    'delete',
    tree,
    String(objects),
    formatBytes(bytes),
  ]);
  const table = rows.length === 0 ? '' : formatTable(['action', 'older layout', '>objects', '>size'], rows);
  const verb = report.dryRun ? 'Would be deleted' : 'To be deleted';
  const uploads = report.leftovers > 0 ? `, ${formatCount(report.leftovers, 'interrupted upload')}` : '';
  const trees = formatCount(report.trees.length, 'tree');
  const amount = `${formatCount(report.objectsToDelete, 'object')}, ${formatBytes(report.bytesToDelete)}`;
  return `${table}${verb}: ${trees}${uploads}: ${amount}\n${report.keepsVersions ? VERSIONS_LINE : ''}${report.dryRun ? DRY_LINE : ''}`;
}
