/** `wal-e backup-list [QUERY]`: the base backups of an archive. */
import { findBackup, type KnownBackup, listBackups, ownFacts, readSentinels } from '../archive/catalog.ts';
import { chronology } from '../archive/chronology.ts';
import { type BackupName, parseBackupName, versionKey } from '../archive/layout.ts';
import { labelTimeFrom, surveyBackups } from '../archive/survey.ts';
import { UsageError, UserError } from '../errors.ts';
import { jsonObject } from '../listing/json.ts';
import { type ListedBackup, listed } from '../listing/listed-backup.ts';
import { prettyHeader, prettyLine } from '../listing/pretty.ts';
import { tsvHeader, tsvLine } from '../listing/tsv.ts';
import { inOrder } from '../parallel.ts';
import type { Call, Store } from '../store/store.ts';
import type { Context } from './context.ts';

export interface BackupListArguments {
  readonly query: string | undefined;
  readonly detail: boolean;
  readonly json: boolean;
  readonly pretty: boolean;
  readonly all: boolean;
}

interface Form {
  readonly header: string;
  line(backup: ListedBackup, isFirst: boolean): string;
  readonly footer: string;
}

const READS_AT_ONCE = 16;
const LINES_AT_ONCE = 100;
const MAX_VERSION_BYTES = 10_000;

export async function run(args: BackupListArguments, context: Context): Promise<number> {
  const { query } = args;
  if (args.json && args.pretty) throw new UsageError('give --json or --pretty, not both');
  const form = formOf(args);
  if (query !== undefined && query !== 'LATEST' && parseBackupName(query) === undefined) {
    // The original prints its header first, and whoever reads it expects that.
    await context.print(args.json ? '' : form.header);
    throw new UserError('invalid backup query submitted', {
      detail: `The submitted query operator was "${query}."`,
      hint: 'Give the name of a backup, or LATEST.',
    });
  }
  const store = await context.openStore();
  let lines: string[] = [form.header];
  let isFirst = true;
  for await (const backup of backups(store, args, context)) {
    lines.push(form.line(backup, isFirst));
    isFirst = false;
    if (lines.length < LINES_AT_ONCE) continue;
    await context.print(lines.join(''));
    lines = [];
  }
  await context.print([...lines, form.footer].join(''));
  return 0;
}

function formOf({ json, pretty, all }: BackupListArguments): Form {
  const now = new Date();
  if (json)
    return {
      header: '[',
      line: (backup, isFirst) => `${isFirst ? '' : ','}\n${JSON.stringify(jsonObject(backup))}`,
      footer: '\n]\n',
    };
  if (pretty) return { header: prettyHeader(), line: (backup) => prettyLine(backup, now), footer: '' };
  return { header: tsvHeader(all), line: (backup) => tsvLine(backup, all), footer: '' };
}

async function* backups(
  store: Store,
  args: BackupListArguments,
  { log, signal }: Context,
): AsyncGenerator<ListedBackup> {
  const rich = args.json || args.pretty;
  const list = found(store, args, { signal });
  const all = inOrder(list, READS_AT_ONCE, signal, async (backup, either) => {
    const stated =
      rich && needsVersion(backup) ? await readVersion(store, backup, { signal: either }) : undefined;
    return { backup, stated };
  });
  for await (const { backup, stated } of all) {
    if (backup.reading.kind === 'unreadable')
      log.warning('the sentinel of a backup cannot be understood', {
        detail: `${backup.name}: ${backup.reading.error.message}`,
      });
    const shown = listed(backup, stated);
    if (shown.state === 'damaged')
      log.warning('a backup cannot be restored', {
        detail: `${backup.name}: ${shown.error}.`,
        hint: 'wal-e wal-verify says which of the others can be.',
      });
    yield shown;
  }
}

async function* found(store: Store, args: BackupListArguments, call: Call): AsyncGenerator<KnownBackup> {
  const withSentinels = args.detail || args.json || args.pretty;
  const strip = (backup: KnownBackup): KnownBackup =>
    withSentinels ? backup : { ...backup, reading: { kind: 'absent' } };
  if (args.query !== undefined) {
    const name = args.query === 'LATEST' ? await latest(store, call) : parseBackupName(args.query);
    const backup = name === undefined ? undefined : await findBackup(store, name, call);
    if (backup !== undefined && (args.all || backup.sentinel !== undefined)) yield strip(backup);
    return;
  }
  const wanted = args.all ? listBackups(store, call) : complete(store, call);
  if (withSentinels) return yield* readSentinels(store, wanted, { width: READS_AT_ONCE, ...call });
  for await (const backup of wanted) yield { ...backup, reading: { kind: 'absent' } };
}

async function* complete(store: Store, call: Call): ReturnType<typeof listBackups> {
  for await (const backup of listBackups(store, call)) if (backup.sentinel !== undefined) yield backup;
}

/** The newest, as backup-fetch takes it. */
async function latest(store: Store, call: Call): Promise<BackupName | undefined> {
  const { backups: all } = await surveyBackups(store, call);
  return (await chronology(all, labelTimeFrom(store, call))).at(-1)?.backup.name;
}

/** Our own sentinels state it. */
function needsVersion(backup: KnownBackup): boolean {
  return backup.version !== undefined && ownFacts(backup) === undefined;
}

async function readVersion(store: Store, { name }: KnownBackup, call: Call): Promise<string | undefined> {
  const object = await store.get(versionKey(name), call);
  if (object === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of object.body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_VERSION_BYTES) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}
