import { Agent } from 'node:http';
import { getDefaultAutoSelectFamilyAttemptTimeout, setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { createTransport, type WireRequest } from '../../../src/store/s3/transport.ts';

const usual = getDefaultAutoSelectFamilyAttemptTimeout();
afterEach(() => setDefaultAutoSelectFamilyAttemptTimeout(usual));

/** What Node says when it has tried all addresses of a name. */
const none = () => new AggregateError([Object.assign(new Error('too late'), { code: 'ETIMEDOUT' })]);

async function failing(error: () => Error): Promise<unknown> {
  const agent = new Agent();
  agent.createConnection = (_, connected) => {
    setImmediate(() => connected?.(error(), undefined as never));
    return undefined as never;
  };
  const transport = createTransport(async () => agent, { connectMs: 10_000, idleMs: 10_000 });
  const request: WireRequest = {
    what: 'GET s3://b/k',
    address: { protocol: 'http', hostname: 'store.example', port: 80, host: 'store.example', path: '/b' },
    method: 'GET',
    path: '/b/k',
    headers: {},
    body: [],
  };
  return transport.send(request, new AbortController().signal).catch((reason: unknown) => reason);
}

it('a name of which no address was reached in time is given more of it', async () => {
  const given: number[] = [];
  // Node 20 to 24 begin with 250, Node 26 with 500.
  setDefaultAutoSelectFamilyAttemptTimeout(300);
  for (let attempt = 0; attempt < 4; attempt += 1) {
    expect(await failing(none)).toMatchObject({ message: 'the store cannot be reached', transient: true });
    given.push(getDefaultAutoSelectFamilyAttemptTimeout());
  }
  expect(given).toEqual([1200, 4000, 4000, 4000]);
});

it('any other failure changes nothing', async () => {
  await failing(() => Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
  expect(getDefaultAutoSelectFamilyAttemptTimeout()).toBe(usual);
});
