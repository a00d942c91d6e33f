/** A claim without a test is not a claim: every row of docs/conformance.md is tied to a test, and the other way round. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
const suite = readFileSync(join(root, 'test/system/conformance.test.ts'), 'utf8');
const titled = new Set([...suite.matchAll(/\[([a-z]+-\d+)\]/g)].map((match) => match[1]));

test('every line of the tables is a row with an id of its own', () => {
  const bodies = lines.filter((line) => line.startsWith('| ') && !/^\| (id|---) /.test(line));
  expect(bodies.filter((line) => !ROW.test(line))).toEqual([]);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  expect(rows.length).toBeGreaterThan(80);
});

test('every row says same, better or left out', () => {
  expect(rows.filter(({ ours }) => !/^(same|better|left out)/.test(ours))).toEqual([]);
});

test('every row has its test', () => {
  const without = rows.filter(({ id, file }) => (file === undefined ? !titled.has(id) : !hasTests(file)));
  expect(without.map(({ id }) => id)).toEqual([]);
});

test('every test of the conformance suite has its row', () => {
  const known = new Set(rows.map(({ id }) => id));
  expect([...titled].filter((id) => id === undefined || !known.has(id))).toEqual([]);
});

function hasTests(file: string): boolean {
  return (
    existsSync(join(root, file)) &&
    /\b(?:it|test)[.(]|\bdescribe[.(]|Contract\(/.test(readFileSync(join(root, file), 'utf8'))
  );
}

test('the tests that other files hold are in the repository', () => {
  const files = new Set(
    readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).map((name) => `test/${name}`),
  );
  expect(rows.filter(({ file }) => file !== undefined && !files.has(file))).toEqual([]);
});
