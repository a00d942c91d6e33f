import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Finding } from '../../src/check/finding.ts';
import { probeStore } from '../../src/check/store-probe.ts';
import { StoreError } from '../../src/errors.ts';
import { createFileStore } from '../../src/store/file.ts';
import type { Store } from '../../src/store/store.ts';

let directory: string;
let store: Store;
const never = new AbortController().signal;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'wale-check-'));
  store = createFileStore(directory);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function states(of: Store): Promise<Record<string, Finding['state']>> {
  const found = await findings(of);
  return Object.fromEntries(found.map(({ name, state }) => [name, state]));
}

async function findings(of: Store, signal = never): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of probeStore(of, signal)) found.push(finding);
  return found;
}

const WELL = {
  'store put': 'ok',
  'store create-only': 'ok',
  'store get': 'ok',
  'store list': 'ok',
  clock: 'ok',
  'store delete': 'ok',
};

function refuse(): never {
  throw new StoreError('the store refused', { detail: 'AccessDenied', transient: false });
}

test('a store that does everything is ok, and nothing stays in it', async () => {
  expect(await states(store)).toEqual(WELL);
  expect(readdirSync(directory)).toEqual([]);
});

test('a refused put is the only finding, with its reason and a remedy', async () => {
  const [only, ...others] = await findings({ ...store, put: async () => refuse() });
  expect(only).toMatchObject({
    name: 'store put',
    state: 'failed',
    message: 'the store refused: AccessDenied',
  });
  expect(only?.remedy).toContain('docs/s3-permissions.md');
  expect(others).toEqual([]);
});

test('each refused request is told by its own line, and the scratch object is removed all the same', async () => {
  const reading = { ...store, get: async () => refuse() };
  expect(await states(reading)).toEqual({ ...WELL, 'store get': 'failed' });
  const listing = { ...store, list: () => refuse() };
  expect(await states(listing)).toEqual({ ...WELL, 'store list': 'failed' });
  expect(readdirSync(directory)).toEqual([]);
});

test('a store that replaces objects fails', async () => {
  const replacing: Store = {
    ...store,
    put: (key, body, options) => store.put(key, body, { ...options, createOnly: false }),
  };
  expect(await states(replacing)).toMatchObject({ 'store create-only': 'failed', 'store get': 'failed' });
});

test('a store that loses or alters the object fails', async () => {
  expect(await states({ ...store, get: async () => undefined })).toMatchObject({ 'store get': 'failed' });
  async function* nothing() {}
  expect(await states({ ...store, list: () => nothing() })).toMatchObject({ 'store list': 'failed' });
});

test('a store that lets nothing be deleted is a warning that names the object left', async () => {
  const keeping: Store = {
    ...store,
    remove: async (keys) => keys.map((key) => ({ key, reason: 'AccessDenied' })),
  };
  const last = (await findings(keeping)).at(-1);
  expect(last).toMatchObject({ name: 'store delete', state: 'warning' });
  expect(last?.message).toMatch(/wale_check_[0-9a-f]{16} could not be removed: AccessDenied/);
});

test.each([
  [0, 'ok'],
  [-300, 'warning'],
  [300, 'warning'],
  [-3600, 'failed'],
  [3600, 'failed'],
])('a store whose clock is %i seconds off is %s', async (seconds, state) => {
  const off: Store = {
    ...store,
    async head(key, call) {
      const info = await store.head(key, call);
      return info && { ...info, modified: new Date(info.modified.getTime() + seconds * 1000) };
    },
  };
  expect(await states(off)).toEqual({ ...WELL, clock: state });
});

test('an interrupt ends the probe with the reason and leaves nothing', async () => {
  const controller = new AbortController();
  const reason = new Error('interrupted');
  const interrupted: Store = {
    ...store,
    async get() {
      controller.abort(reason);
      throw reason;
    },
  };
  await expect(findings(interrupted, controller.signal)).rejects.toBe(reason);
  expect(readdirSync(directory)).toEqual([]);
});
