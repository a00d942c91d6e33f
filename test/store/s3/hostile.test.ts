/** Stores, and what may sit between here and them, that say anything at all: a clear failure in time, and never a wrong answer. */
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walKey } from '../../../src/archive/layout.ts';
import { StoreError } from '../../../src/errors.ts';
import { readS3Settings } from '../../../src/settings/s3.ts';
import type { S3Request } from '../../../src/store/s3/client.ts';
import { listObjects } from '../../../src/store/s3/listing.ts';
import { createSdkClient } from '../../../src/store/s3/sdk.ts';
import type { Store } from '../../../src/store/store.ts';
import { contents } from '../../contract/store.ts';
import { seededBytes } from '../../harness/random.ts';
import {
  createRawServer,
  type RawAnswering,
  type RawServer,
  rawAnswer,
} from '../../harness/s3/raw-server.ts';
import { openTestStore, type TestStoreOptions, testEnvironment } from '../../harness/s3/store.ts';

const call = { signal: new AbortController().signal };
const createOnly = { ...call, createOnly: true, contentType: 'application/octet-stream' } as const;
const KEY = walKey('000000010000000000000001');
const BYTES = seededBytes(100_000, 5);
const STORED = { etag: '"1"', 'last-modified': 'Sat, 01 Aug 2026 00:00:00 GMT', 'x-amz-request-id': '' };

let server: RawServer;
let store: Store | undefined;
beforeEach(async () => {
  server = await createRawServer((socket) => socket.destroy());
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  await server.close();
});

function open(options: TestStoreOptions = {}): Store {
  store = openTestStore(server.url, {
    attempts: 3,
    // So that a busy machine does not show: nothing here waits for them.
    timeouts: { connectMs: 10_000, idleMs: 10_000 },
    ...options,
    environment: { WALE_S3_CONDITIONAL_PUT: 'true', ...options.environment },
  });
  return store;
}

const always =
  (answer: Buffer): RawAnswering =>
  (socket) =>
    socket.write(answer);

/** For what does wait. */
const SOON = { attempts: 1, timeouts: { connectMs: 2000, idleMs: 200 } };

async function listed(from: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of from.list('', call)) keys.push(...page.map((info) => info.key));
  return keys;
}

async function uploads(from: Store): Promise<number> {
  let count = 0;
  for await (const page of from.leftovers('', call)) count += page.length;
  return count;
}

const put = (to: Store) => to.put(KEY, [BYTES], createOnly);
const get = async (from: Store) => contents(await from.get(KEY, call));
const CALLS = { put, get, head: (of: Store) => of.head(KEY, call), list: listed };

async function failureOf(promise: Promise<unknown>): Promise<StoreError> {
  const error = await promise.then(
    (answer) => new Error(`it did not fail: ${String(answer).slice(0, 200)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof StoreError)) throw error;
  return error;
}

const page = (content: string) =>
  `<?xml version="1.0"?>\n<ListBucketResult><EncodingType>url</EncodingType>${content}</ListBucketResult>`;
const entry = (key: string, size = '1', time = '2026-01-01T00:00:00Z') =>
  `<Contents><Key>some/prefix/${key}</Key><Size>${size}</Size><LastModified>${time}</LastModified></Contents>`;
const more = (token: string) =>
  `<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>`;

describe('a web server, or the page of a portal', () => {
  const html = '<!DOCTYPE html><html><body>Please sign in</body></html>';

  it.each([
    ['a page', rawAnswer(200, { 'content-type': 'text/html', etag: '"page"' }, html)],
    ['a page without a type', rawAnswer(200, {}, '<html><p>It works!</p></html>')],
    ['a word', rawAnswer(200, { etag: '"x"' }, 'OK')],
    ['nothing', rawAnswer(200)],
    ['no content', rawAnswer(204)],
  ])('that answers a put with 200 and %s has stored nothing', async (_, answer) => {
    server.answering = always(answer);
    const failure = await failureOf(put(open()));
    expect(failure.message).toBe('what answers is not an S3 store');
    expect(failure.hint).toContain('WALE_S3_ENDPOINT');
    expect(server.asked).toHaveLength(1);
  });

  it.each([
    html,
    '<html><p>It works!</p></html>',
    // A store that takes the host for its own name, and not for the bucket's.
    '<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>',
    '<ListBucketResult2/>',
  ])('that answers a listing with 200 has not said that there is nothing: %s', async (document) => {
    server.answering = always(rawAnswer(200, {}, document));
    const failure = await failureOf(listed(open()));
    expect(failure.message).toBe('what answers is not an S3 store');
    expect((await failureOf(uploads(open()))).message).toBe('what answers is not an S3 store');
    expect((await failureOf(open().remove([KEY], call))).message).toBe('what answers is not an S3 store');
  });

  it('an empty listing is one that a store sends', async () => {
    server.answering = always(
      rawAnswer(200, {}, '<?xml version="1.0"?>\n<ListBucketResult xmlns="http://s3"/>\n'),
    );
    expect(await listed(open())).toEqual([]);
  });
});

describe('a redirect is never followed: what is signed, and the keys, go to nobody else', () => {
  it.each([301, 302, 303, 307, 308])('%d', async (status) => {
    const other = await createRawServer((socket) => socket.write(rawAnswer(200, STORED)));
    server.answering = always(
      rawAnswer(
        status,
        { location: `${other.url}/wale-test/x`, 'x-amz-bucket-region': 'eu-west-9' },
        `<Error><Code>TemporaryRedirect</Code><Endpoint>127.0.0.1:${other.port}</Endpoint></Error>`,
      ),
    );
    for (const [name, asking] of Object.entries(CALLS)) {
      const failure = await failureOf(asking(open()));
      expect(failure.detail, name).toContain(String(status));
    }
    expect(other.asked).toEqual([]);
    expect(other.open.size).toBe(0);
    await other.close();
  });
});

describe('an answer to HEAD that has a body all the same, as that of Swift', () => {
  it.each([
    ['found', rawAnswer(200, STORED, 'body'), 4],
    [
      'absent',
      rawAnswer(404, { 'x-amz-request-id': '1' }, '<Error><Code>NoSuchKey</Code></Error>'),
      undefined,
    ],
  ])('is read without it: %s', async (_, answer, size) => {
    server.answering = (socket, { method }) =>
      socket.write(method === 'HEAD' ? answer : rawAnswer(404, { 'x-amz-request-id': '2' }));
    for (let i = 0; i < 5; i += 1) expect((await open().head(KEY, call))?.size).toBe(size);
  });
});

describe('answers that are no HTTP', () => {
  it.each([
    ['a negative length', Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n')],
    ['two lengths', rawAnswer(200, { ...STORED, 'content-length': '5', 'Content-Length': '6' }, 'hello')],
    [
      'a length and chunks',
      rawAnswer(
        200,
        { ...STORED, 'content-length': '5', 'transfer-encoding': 'chunked' },
        '5\r\nhello\r\n0\r\n\r\n',
      ),
    ],
    ['headers that are longer than any', rawAnswer(200, { ...STORED, 'x-amz-long': 'x'.repeat(1_000_000) })],
    [
      'a hundred thousand headers',
      rawAnswer(200, Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`h${i}`, 'x']))),
    ],
    ['rubbish', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  ])('%s: tried again, then said', async (_, answer) => {
    server.answering = always(answer);
    for (const [name, asking] of Object.entries(CALLS)) {
      const failure = await failureOf(asking(open()));
      expect(failure.message, name).toBe('the connection to the store broke');
      expect(failure.detail).toContain('It was tried 3 times.');
    }
  });

  it('interim answers without end are waited for no longer than an answer', async () => {
    server.answering = (socket) => endlessly(socket, 'HTTP/1.1 100 Continue\r\n\r\n');
    expect((await failureOf(put(open(SOON)))).message).toBe('the store does not answer');
    expect((await failureOf(get(open(SOON)))).message).toBe('the store does not answer');
  });

  it('a header that comes byte by byte is waited for no longer than an answer', async () => {
    server.answering = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nx-amz-slow: ');
      endlessly(socket, 'x');
    };
    expect((await failureOf(get(open(SOON)))).message).toBe('the store does not answer');
  });
});

/** A piece every 20 ms, until the other side has had enough. */
function endlessly(socket: Socket, piece: string): void {
  const timer = setInterval(() => socket.write(piece), 20);
  socket.on('close', () => clearInterval(timer));
}

/** The second on a machine that is too busy to send a byte in time. */
const GIVEN_UP = /^the store (answers too slowly to ever come to an end|does not answer)$/;

describe('an answer that trickles in without end, where there is no deadline', () => {
  it('an object', async () => {
    server.answering = (socket, { head }) => {
      const from = Number(/range: bytes=(\d+)/i.exec(head.toString())?.[1] ?? 0);
      const headers = { ...STORED, 'content-length': String(1_000_000 - from) };
      const range = { 'content-range': `bytes ${from}-999999/1000000` };
      socket.write(from === 0 ? rawAnswer(200, headers) : rawAnswer(206, { ...headers, ...range }));
      endlessly(socket, 'x');
    };
    const failure = await failureOf(get(open({ ...SOON, attempts: 2 })));
    expect(failure.message).toMatch(GIVEN_UP);
    expect(failure.detail).toContain('It was tried 2 times.');
  });

  it('a listing', async () => {
    server.answering = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      endlessly(socket, '1\r\n \r\n');
    };
    const failure = await failureOf(listed(open(SOON)));
    expect(failure.message).toMatch(GIVEN_UP);
  });

  it('the blanks of a store that is still at work are borne with, for minutes but not for ever', async () => {
    server.answering = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const timer = setInterval(() => socket.write('1\r\n \r\n'), 20);
      socket.on('close', () => clearInterval(timer));
      setTimeout(
        () => socket.end('e\r\n<DeleteResult/\r\n1\r\n>\r\n0\r\n\r\n', () => clearInterval(timer)),
        900,
      );
    };
    expect(await open({ ...SOON, attempts: 20 }).remove([KEY], call)).toEqual([]);
    server.answering = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      endlessly(socket, '1\r\n \r\n');
    };
    const timeouts = { connectMs: 400, idleMs: 40 };
    const failure = await failureOf(open({ attempts: 1, timeouts }).remove([KEY], call));
    expect(failure.message).toMatch(GIVEN_UP);
  });
});

describe('a document', () => {
  it('without end is read no further than 16 MiB, once', async () => {
    const filler = ' '.repeat(1024 * 1024);
    server.answering = (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<ListBucketResult>`);
      const write = () => {
        while (!socket.destroyed && socket.write(filler));
      };
      socket.on('drain', write);
      write();
    };
    const failure = await failureOf(listed(open()));
    expect(failure.message).toBe("the store's answer has no end");
    expect(server.asked).toHaveLength(1);
  });

  it('of an error without end is read no further than what it may say', async () => {
    server.answering = (socket) => {
      socket.write('HTTP/1.1 403 No\r\nconnection: close\r\n\r\n<Error><Code>AccessDenied</Code>');
      socket.write('x'.repeat(10_000_000));
    };
    expect((await failureOf(put(open()))).message).toBe('the store denies access');
  });

  it('with entities that multiply is not expanded', async () => {
    const levels = Array.from({ length: 12 }, (_, i) => `<!ENTITY e${i + 1} "${`&e${i};`.repeat(10)}">`).join(
      '',
    );
    const bomb = `<!DOCTYPE x [<!ENTITY e0 "lol">${levels}]>`;
    for (const document of [
      `<?xml version="1.0"?>${bomb}<ListBucketResult><Name>&e12;</Name></ListBucketResult>`,
      page(`${bomb}<Name>&e12;</Name>`),
      page(entry('&e12;')),
    ]) {
      server.answering = always(rawAnswer(200, {}, document));
      const keys = await listed(open()).catch((error: unknown) => error);
      if (keys instanceof Error) expect(keys).toBeInstanceOf(StoreError);
      else expect(keys).toEqual(['']);
    }
  });

  it('that is nested too deeply, or closes what it did not open, makes no sense', async () => {
    for (const document of [
      page('<a>'.repeat(200_000)),
      page(`${'<a>'.repeat(200_000)}${'</a>'.repeat(200_000)}`),
      page('<Contents><Key>x</Contents></Key>'),
      page('<Contents'),
      page('<![CDATA[ without end'),
    ]) {
      server.answering = always(rawAnswer(200, {}, document));
      expect((await failureOf(listed(open()))).message).toBe("the store's answer makes no sense");
    }
  });

  it('cut off after an element without content is not whole', async () => {
    server.answering = always(rawAnswer(200, {}, '<ListBucketResult><Prefix/>'));
    expect((await failureOf(listed(open()))).message).toBe("the store's answer was cut off");
  });

  it('that is compressed, though nobody asked for that, is not taken for an empty one', async () => {
    const compressed = gzipSync(page(entry('a')));
    server.answering = always(rawAnswer(200, { 'content-encoding': 'gzip' }, compressed));
    expect((await failureOf(listed(open()))).message).toBe("the store's answer was cut off");
  });
});

describe('a listing', () => {
  const listingOf = (...documents: string[]): RawAnswering => {
    const first = server.asked.length;
    return (socket, _, number) => {
      const document = documents[(number - first) % documents.length] ?? '';
      socket.write(rawAnswer(200, {}, page(document)));
    };
  };

  it.each([
    ['keys that are not in order', [entry('b') + entry('a')]],
    ['a key twice', [entry('a') + entry('a')]],
    ['pages that are not in order', [entry('b') + more('t1'), entry('a')]],
    ['two tokens in turn', [entry('a') + more('t1'), entry('b') + more('t2')]],
    ['an empty token', [entry('a') + more('')]],
    ['more, and no token', [`${entry('a')}<IsTruncated>true</IsTruncated>`]],
    ['a negative size', [entry('a', '-1')]],
    ['a size that no number holds', [entry('a', '99999999999999999999')]],
    ['a size that is none', [entry('a', 'large')]],
    ['a time that is none', [entry('a', '1', 'yesterday')]],
    ['a percent sign that encodes nothing', [entry('100%')]],
    ['bytes that are no UTF-8', [entry('%ff%fe')]],
  ])('with %s makes no sense', async (_, documents) => {
    server.answering = listingOf(...documents);
    expect((await failureOf(listed(open()))).message).toMatch(
      /^the store's (listing|answer) makes no sense$/,
    );
  });

  it('of empty pages with ever new tokens ends', async () => {
    let pages = 0;
    const send = async () => {
      pages += 1;
      return { status: 200, headers: {}, text: page(more(`token-${pages}`)), attempts: 1, payloadHash: '' };
    };
    const unused = () => Promise.reject(new Error('not asked'));
    const settings = readS3Settings('s3://bucket/x', testEnvironment(server.url), {});
    const listing = listObjects(createSdkClient({ once: unused, send }, 'bucket'), settings, '', call, 100);
    await expect(listing.next()).rejects.toMatchObject({ detail: 'pages without a key do not end' });
    expect(pages).toBe(101);
  });

  it('of empty pages behind a folder that is skipped goes on where they end', async () => {
    const places: (string | undefined)[] = [];
    const answers = [entry('a') + entry('b/c') + more('t1'), more('t2'), more('t3'), entry('d')];
    const send = async ({ query = {} }: S3Request) => {
      places.push(query['continuation-token'] ?? query['start-after']);
      const text = page(answers[places.length - 1] ?? '');
      return { status: 200, headers: {}, text, attempts: 1, payloadHash: '' };
    };
    const unused = () => Promise.reject(new Error('not asked'));
    const settings = readS3Settings('s3://wale-test/some/prefix', testEnvironment(server.url), {});
    const sdk = createSdkClient({ once: unused, send }, 'wale-test');
    const skip = (folder: string) => folder === 'b/';
    const keys: string[] = [];
    for await (const found of listObjects(sdk, settings, '', { ...call, skip }))
      keys.push(...found.map(({ key }) => key));
    expect(keys).toEqual(['a', 'd']);
    expect(places).toEqual([undefined, 'some/prefix/b/~', 't2', 't3']);
  });

  it('of more keys than a page holds comes in pages all the same', async () => {
    const names = Array.from({ length: 2500 }, (_, i) => String(i).padStart(4, '0'));
    server.answering = listingOf(names.map((name) => entry(name)).join(''));
    const sizes: number[] = [];
    for await (const found of open().list('', call)) sizes.push(found.length);
    expect(sizes).toEqual([1000, 1000, 500]);
  });

  it.each([
    ['a%2Bb%20c', 'a+b c'],
    ['a+b', 'a b'],
    ['%C3%A4%F0%9F%90%98', 'ä🐘'],
    ['%00%1F%0A', '\u0000\u001f\n'],
    ['100%25', '100%'],
    ['&lt;&amp;&gt;', '<&>'],
  ])('has odd names as they are: %s', async (written, key) => {
    server.answering = listingOf(entry(written));
    expect(await listed(open())).toEqual([key]);
  });

  it('of a store that encodes nothing though it was asked to has names as they are', async () => {
    const document = `<ListBucketResult>${entry('100%+&amp;')}</ListBucketResult>`;
    server.answering = always(rawAnswer(200, {}, document));
    expect(await listed(open())).toEqual(['100%+&']);
  });

  it('of uploads whose markers go back, or round and round, ends', async () => {
    const uploadsOf = (keyMarker: string, idMarker: string) =>
      `<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>${keyMarker}</NextKeyMarker>` +
      `<NextUploadIdMarker>${idMarker}</NextUploadIdMarker></ListMultipartUploadsResult>`;
    for (const documents of [
      [uploadsOf('b', '1'), uploadsOf('a', '1')],
      [uploadsOf('a', '1'), uploadsOf('a', '1')],
      [uploadsOf('', '')],
    ]) {
      const first = server.asked.length;
      server.answering = (socket, _, number) =>
        socket.write(rawAnswer(200, {}, documents[(number - first) % documents.length] ?? ''));
      expect((await failureOf(uploads(open()))).detail).toBe('there are more uploads, but no way on');
    }
  });
});

describe('an object', () => {
  const whole = { ...STORED, 'content-length': String(BYTES.length) };
  const breaking = (socket: Socket) => {
    socket.write(rawAnswer(200, whole, BYTES.subarray(0, 70_000)), () => socket.destroy());
  };
  const range = `bytes 70000-${BYTES.length - 1}/${BYTES.length}`;
  const rest = BYTES.subarray(70_000);

  /** The first request is broken off at byte 70,000; the others get the answer. */
  const goesOn =
    (answer: Buffer): RawAnswering =>
    (socket, _, number) =>
      number === 0 ? breaking(socket) : socket.write(answer);

  it('that is compressed on the way, though nobody asked for that, is given as it came', async () => {
    const compressed = gzipSync(BYTES);
    server.answering = always(rawAnswer(200, { ...STORED, 'content-encoding': 'gzip' }, compressed));
    expect((await get(open())).equals(compressed)).toBe(true);
  });

  it('of which only a part was sent, though all was asked for, is an error', async () => {
    server.answering = always(
      rawAnswer(206, { ...STORED, 'content-range': `bytes 5-9/${BYTES.length}` }, BYTES.subarray(5, 10)),
    );
    const failure = await failureOf(get(open()));
    expect(failure.message).toBe('the store does not send the whole object');
    expect(server.asked).toHaveLength(1);
  });

  it('goes on where it broke off, if ETag, time, range and size are the same', async () => {
    server.answering = goesOn(rawAnswer(206, { ...STORED, 'content-range': range }, rest));
    expect((await get(open())).equals(Buffer.from(BYTES))).toBe(true);
  });

  it.each([
    ['another ETag', { ...STORED, etag: '"2"', 'content-range': range }],
    ['no ETag any more', { 'last-modified': STORED['last-modified'], 'content-range': range }],
    ['another time', { ...STORED, 'last-modified': 'Sat, 01 Aug 2026 00:00:01 GMT', 'content-range': range }],
    ['another range', { ...STORED, 'content-range': `bytes 69999-${BYTES.length - 1}/${BYTES.length}` }],
    ['another size', { ...STORED, 'content-range': `bytes 70000-${BYTES.length - 1}/200000` }],
    ['no range', STORED],
  ])('does not go on with %s', async (_, headers) => {
    server.answering = goesOn(rawAnswer(206, headers, rest));
    expect((await failureOf(get(open()))).message).toBe('an object changed while it was read');
    expect(server.asked).toHaveLength(2);
  });

  it.each([404, 412, 416])('does not go on when the rest is answered with %d', async (status) => {
    server.answering = goesOn(
      rawAnswer(status, { 'x-amz-request-id': '1' }, '<Error><Code>NoSuchKey</Code></Error>'),
    );
    expect((await failureOf(get(open()))).message).toBe('an object changed while it was read');
  });

  it.each([
    ['an ETag', '"1"', 'if-match: "1"'],
    ['a weak ETag, which If-Match would never fulfil', 'W/"1"', undefined],
    ['an empty ETag', '""', undefined],
  ])('that has %s is asked for by it', async (_, etag, condition) => {
    const heads: string[] = [];
    server.answering = (socket, { head }, number) => {
      heads.push(head.toString());
      if (number > 0) socket.write(rawAnswer(206, { ...STORED, etag, 'content-range': range }, rest));
      else
        socket.write(rawAnswer(200, { ...whole, etag }, BYTES.subarray(0, 70_000)), () => socket.destroy());
    };
    expect((await get(open())).equals(Buffer.from(BYTES))).toBe(true);
    expect(/if-match: .*/i.exec(heads[1] ?? '')?.[0]).toBe(condition);
  });

  it('whose rest is always empty is given up after the attempts', async () => {
    server.answering = goesOn(rawAnswer(206, { ...STORED, 'content-range': range }));
    const failure = await failureOf(get(open({ attempts: 4 })));
    expect(failure.detail).toContain(`ended after 70000 of ${BYTES.length} bytes. It was tried 4 times.`);
    expect(server.asked).toHaveLength(4);
  });

  it('that comes by single bytes, each on a connection of its own, is given up after the attempts', async () => {
    server.answering = (socket, { head }) => {
      const from = Number(/range: bytes=(\d+)/i.exec(head.toString())?.[1] ?? 0);
      const told = { ...STORED, 'content-length': String(BYTES.length - from) };
      const answer =
        from === 0
          ? rawAnswer(200, told, BYTES.subarray(0, 1))
          : rawAnswer(
              206,
              { ...told, 'content-range': `bytes ${from}-${BYTES.length - 1}/${BYTES.length}` },
              BYTES.subarray(from, from + 1),
            );
      socket.write(answer, () => socket.end());
    };
    const failure = await failureOf(get(open({ attempts: 5 })));
    expect(failure.detail).toContain('It was tried 5 times.');
    expect(server.asked.length).toBeLessThanOrEqual(6);
  });

  it('every break is told, and waited after, as every other failure', async () => {
    const told: string[] = [];
    server.answering = goesOn(rawAnswer(206, { ...STORED, 'content-range': range }, rest));
    await get(open({ onRetry: ({ error, number }) => told.push(`${number} ${error.message}`) }));
    expect(told).toEqual(['1 the connection to the store broke']);
  });
});
