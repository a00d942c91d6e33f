/** `delete --confirm retain 1` on a store stub that makes its listing up as it goes: what the program itself costs. */
import { readFileSync } from 'node:fs';
import { listedKey, WAL_PREFIX } from '../src/archive/layout.ts';
import { run } from '../src/commands/delete.ts';
import { createLog } from '../src/log.ts';
import { skippedFolder } from '../src/store/skipped-folder.ts';
import type { ListOptions, ObjectInfo, Store } from '../src/store/store.ts';
import { measuredArchive } from './delete-archive.ts';

const archive = measuredArchive(Number(process.argv[2]));
const modified = new Date('2026-01-01T00:00:00Z');
let removed = 0;

async function* list(prefix: string, { skip }: ListOptions): AsyncGenerator<readonly ObjectInfo[]> {
  let page: ObjectInfo[] = [];
  const keys = prefix === WAL_PREFIX ? archive.wal() : archive.backup.map(({ key }) => key);
  for (const key of keys) {
    if (!key.startsWith(prefix)) continue;
    if (skip !== undefined && skippedFolder(key, prefix, skip) !== undefined) continue;
    page.push({ key: listedKey(key), size: 70_000, modified });
    if (page.length < 1000) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

const store: Store = {
  url: 'stub://',
  put: async () => 'stored',
  async get(key) {
    const text = archive.backup.find((object) => object.key === key)?.text;
    if (text === undefined) return undefined;
    return { key, size: text.length, modified, body: chunks(text) };
  },
  head: async () => undefined,
  list,
  async remove(keys) {
    // Not the note that a run leaves while it is under way.
    removed += keys.filter((key) => key.startsWith(WAL_PREFIX)).length;
    return [];
  },
  async *leftovers() {},
  removeLeftover: async () => {},
  close: async () => {},
};

async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

async function measure(): Promise<void> {
  const started = performance.now();
  const status = await run(
    {
      verb: 'retain',
      count: 1,
      retainDays: undefined,
      confirm: true,
      dryRun: false,
      json: true,
      orphansOlderThan: undefined,
    },
    {
      settings: { environment: {}, options: {} },
      log: createLog({ sinks: [], terse: true, pid: process.pid, now: () => new Date() }),
      signal: new AbortController().signal,
      openStore: async () => store,
      print: async () => {},
    },
  );
  if (status !== 0 || removed !== archive.doomed)
    throw new Error(`removed ${removed}, exit status ${status}`);
  const seconds = (performance.now() - started) / 1000;
  console.log(JSON.stringify({ seconds, peakKilobytes: peakKilobytes() }));
}

/** Not getrusage's figure, in which the kernel counts what the parent had before exec. */
function peakKilobytes(): number {
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
}

void measure();
