/** A claim without a test is not a claim: every row of docs/conformance.md is tied to a test, and the other way round. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ROW = /^\| (?<id>[a-z]+-\d+) \| (?<original>.+) \| (?<ours>.+) \|(?: (?<file>`test\/[^`]+`))? \|$/;

interface Row {
  readonly id: string;
  readonly ours: string;
  readonly file: string | undefined;
}

const lines = readFileSync(join(root, 'docs/conformance.md'), 'utf8').split('\n');
const rows: Row[] = lines.flatMap((line) => {
  const groups = ROW.exec(line)?.groups;
  return groups === undefined
    ? []
    : [{ id: groups.id ?? '', ours: groups.ours ?? '', file: groups.file?.slice(1, -1) }];
});
const SUITE = 'test/system/conformance.test.ts';

/** Ids in the titles of a file's tests. */
function titled(file: string): Set<string> {
  const source = existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '';
  const titles = [...source.matchAll(/(?:\b(?:it|test)\b[^\n]*?|^ *\]\))\(\s*(['"`])(\[.*?)\1,/gms)];
  return new Set(titles.flatMap(([, , title = '']) => [...title.matchAll(/\[([a-z]+-\d+)\]/g)].map(idOf)));
}

function idOf(match: RegExpExecArray): string {
  return match[1] ?? '';
}

test('every line of the tables is a row with an id of its own', () => {
  const bodies = lines.filter((line) => line.startsWith('| ') && !/^\| (id|---) /.test(line));
  expect(bodies.filter((line) => !ROW.test(line))).toEqual([]);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  expect(rows.length).toBeGreaterThan(80);
});

test('every row says same, better or left out', () => {
  expect(rows.filter(({ ours }) => !/^(same|better|left out)/.test(ours))).toEqual([]);
});

test('every row is in the title of a test, in the file that it names', () => {
  const without = rows.filter(({ id, file = SUITE }) => !titled(file).has(id));
  expect(without.map(({ id, file }) => `${id} ${file ?? ''}`)).toEqual([]);
});

test('every id in the title of a test has its row', () => {
  const known = new Set(rows.map(({ id }) => id));
  const files = new Set([SUITE, ...rows.flatMap(({ file }) => file ?? [])]);
  for (const file of files)
    expect(
      [...titled(file)].filter((id) => !known.has(id)),
      file,
    ).toEqual([]);
});
