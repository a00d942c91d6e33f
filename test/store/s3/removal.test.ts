import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Key, walKey } from '../../../src/archive/layout.ts';
import type { Store } from '../../../src/store/store.ts';
import type { Answer, Received } from '../../harness/s3/request.ts';
import { createS3Server, type S3Server } from '../../harness/s3/server.ts';
import { openTestStore } from '../../harness/s3/store.ts';

const call = { signal: new AbortController().signal };
const keys = ['a', 'b', 'c'].map((name) => walKey(name));

let server: S3Server;
let store: Store;
beforeEach(async () => {
  server = await createS3Server();
  store = openTestStore(server.url);
});
afterEach(async () => {
  await store.close();
  await server.close();
});

/** Refuses to remove many by one request, and removes one as `single` says. */
function refuseMany(refusal: Answer, single: (request: Received) => Answer): void {
  server.intercept = (request) => {
    if (request.method === 'POST' && request.query.has('delete')) return refusal;
    return request.method === 'DELETE' ? single(request) : undefined;
  };
}

const removals = () => server.log.filter((line) => line.startsWith('DELETE'));
const path = (key: Key) => expect.stringContaining(key);

it('a request that is stopped is no answer that makes no sense', async () => {
  const controller = new AbortController();
  server.intercept = () => {
    controller.abort(new Error('stopped'));
    return undefined;
  };
  await expect(store.remove(keys, { signal: controller.signal })).rejects.toMatchObject({
    name: 'AbortError',
  });
});

it.each([
  [403, 'AccessDenied'],
  [405, 'MethodNotAllowed'],
  [501, 'NotImplemented'],
])('a store that refuses to remove many at once with %i %s is asked for each', async (status, code) => {
  refuseMany(errorAnswer(status, code), () => ({ status: 204 }));
  expect(await store.remove(keys, call)).toEqual([]);
  expect(removals()).toEqual(keys.map(path));
});

it('one that is gone already counts as removed', async () => {
  refuseMany(errorAnswer(501, 'NotImplemented'), () => errorAnswer(404, 'NoSuchKey'));
  expect(await store.remove(keys, call)).toEqual([]);
});

it('whoever may remove none of the first ten is told so for all, and not asked again', async () => {
  const denied = errorAnswer(403, 'AccessDenied');
  refuseMany(denied, () => denied);
  const many = Array.from({ length: 30 }, (_, i) => walKey(`${i}`));
  expect(await store.remove(many, call)).toEqual(many.map((key) => ({ key, reason: 'AccessDenied' })));
  expect(removals()).toHaveLength(10);
});

it.each([
  [403, 'AccessDenied'],
  [412, 'ObjectUnderActiveHold'],
  [423, 'Locked'],
])('a single key that is refused with %i %s is told, and the rest goes on', async (status, code) => {
  refuseMany(errorAnswer(501, 'NotImplemented'), ({ key }) =>
    key.endsWith('/a.lzo') ? errorAnswer(status, code) : { status: 204 },
  );
  expect(await store.remove(keys, call)).toEqual([{ key: keys[0], reason: code }]);
  expect(removals()).toEqual(keys.map(path));
});

it('another answer is an error, whichever request it is for', async () => {
  refuseMany(errorAnswer(400, 'InvalidRequest'), () => ({ status: 204 }));
  await expect(store.remove(keys, call)).rejects.toThrow('the store refuses the request');
  refuseMany(errorAnswer(501, 'NotImplemented'), () => errorAnswer(400, 'InvalidRequest'));
  await expect(store.remove(keys, call)).rejects.toThrow('the store refuses the request');
});

function errorAnswer(status: number, code: string): Answer {
  return { status, body: [Buffer.from(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`)] };
}
