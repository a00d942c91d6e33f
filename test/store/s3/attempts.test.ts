import dns from 'node:dns';
import { Agent } from 'node:http';
import { getDefaultAutoSelectFamilyAttemptTimeout, setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { createTransport, type WireRequest } from '../../../src/store/s3/transport.ts';
import { createTunnelAgent } from '../../../src/store/s3/tunnel.ts';

const usual = getDefaultAutoSelectFamilyAttemptTimeout();
afterEach(() => setDefaultAutoSelectFamilyAttemptTimeout(usual));

/** What Node says when it has tried all addresses of a name. */
const none = () => new AggregateError([Object.assign(new Error('too late'), { code: 'ETIMEDOUT' })]);

const request: WireRequest = {
  what: 'GET s3://b/k',
  address: { protocol: 'http', hostname: 'store.example', port: 80, host: 'store.example', path: '/b' },
  method: 'GET',
  path: '/b/k',
  headers: {},
  body: [],
};

/** Why nothing came back; without an error to tell, nothing is ever connected. */
async function failing(error?: () => Error, connectMs = 10_000): Promise<unknown> {
  const agent = new Agent();
  agent.createConnection = (_, connected) => {
    if (error !== undefined) setImmediate(() => connected?.(error(), undefined as never));
    return undefined as never;
  };
  const transport = createTransport(async () => agent, { connectMs, idleMs: 10_000 });
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

it('one to which more is given is given no less', async () => {
  setDefaultAutoSelectFamilyAttemptTimeout(5000);
  await failing(none);
  expect(getDefaultAutoSelectFamilyAttemptTimeout()).toBe(5000);
});

it('where that takes all the time of a connection, those behind are reached by giving less of it again', async () => {
  const before = getDefaultAutoSelectFamilyAttemptTimeout();
  await failing(none);
  expect(await failing(undefined, 20)).toMatchObject({ detail: expect.stringContaining('no connection') });
  expect(getDefaultAutoSelectFamilyAttemptTimeout()).toBe(before);
});

it('a proxy of which no address was reached is given more of it too, and the message says why', async () => {
  const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
  const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((...args: readonly unknown[]) => {
    const told = args.at(-1) as (error: null, found: typeof addresses) => void;
    setImmediate(() => told(null, addresses));
  }) as typeof dns.lookup);
  const before = getDefaultAutoSelectFamilyAttemptTimeout();
  const agent = createTunnelAgent({ url: 'http://proxy.example:1', connectMs: 10_000 }, {});
  const transport = createTransport(async () => agent, { connectMs: 10_000, idleMs: 10_000 });
  const secure = { ...request, address: { ...request.address, protocol: 'https', port: 443 } } as const;
  await expect(transport.send(secure, new AbortController().signal)).rejects.toMatchObject({
    detail: 'The proxy at proxy.example:1: connect ECONNREFUSED 127.0.0.1:1.',
  });
  expect(getDefaultAutoSelectFamilyAttemptTimeout()).toBe(4 * before);
  lookup.mockRestore();
});
