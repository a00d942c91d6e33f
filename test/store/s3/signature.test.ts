import { createHash, createHmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { describe, expect, it } from 'vitest';
import { encodeKey } from '../../../src/store/s3/address.ts';
import { hashOf, queryString, sign } from '../../../src/store/s3/signature.ts';
import { seededRandom } from '../../harness/random.ts';

const EXAMPLE_KEYS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
};
const EXAMPLE_TIME = new Date('2013-05-24T00:00:00Z');

/** The examples of the description of Signature V4 for S3. */
describe("Amazon's own examples", () => {
  const host = 'examplebucket.s3.amazonaws.com';

  it('PUT object', () => {
    const signed = sign(
      {
        method: 'PUT',
        path: encodeKey('test$file.text'),
        query: {},
        headers: { host, date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
        payloadHash: hashOf([Buffer.from('Welcome to Amazon S3.')]),
      },
      EXAMPLE_KEYS,
      'us-east-1',
      EXAMPLE_TIME,
    );
    expect(signed.authorization).toContain(
      'Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    );
  });

  it('GET bucket, list objects', () => {
    const signed = sign(
      {
        method: 'GET',
        path: '/',
        query: { prefix: 'J', 'max-keys': '2' },
        headers: { host },
        payloadHash: hashOf([]),
      },
      EXAMPLE_KEYS,
      'us-east-1',
      EXAMPLE_TIME,
    );
    expect(signed.authorization).toContain(
      'Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    );
  });
});

/** The hash class that the SDK's signer wants. */
class Sha256 {
  readonly #hash;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    const key = secret === undefined || typeof secret === 'string' ? secret : Buffer.from(toBytes(secret));
    this.#hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(typeof data === 'string' ? data : toBytes(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {}
}

function toBytes(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

describe("the SDK's signer", () => {
  it('signs 500 random requests the same', async () => {
    const random = seededRandom(4);
    const text = (alphabet: string) =>
      Array.from({ length: 1 + random() * 12 }, () => alphabet[Math.floor(random() * alphabet.length)]).join(
        '',
      );
    for (let i = 0; i < 500; i += 1) {
      const keys = {
        accessKeyId: text('ABCXYZ019:'),
        secretAccessKey: text('abc/+=XYZ9'),
        sessionToken: random() < 0.5 ? undefined : text('tok/+=en'),
      };
      const region = text('abcdefgh-12');
      const now = new Date(1_700_000_000_000 + Math.floor(random() * 1e12));
      const query = Object.fromEntries(
        Array.from({ length: random() * 4 }, () => [text('ab-cX_0/ +=ä'), text("ab&%=? +~*'()!ö")]),
      );
      const headers = {
        host: `${text('abc')}.example:9000`,
        'content-type': 'text/plain',
        [`x-amz-meta-${text('abc')}`]: text('a b  c').trim(),
        'if-none-match': '*',
      };
      const path = encodeKey(`${text("abc /ä+=&~'()*!@:$,;")}/${text('abc')}`);
      const payloadHash = hashOf([Buffer.from(text('payload'))]);
      const signer = new SignatureV4({
        credentials: {
          accessKeyId: keys.accessKeyId,
          secretAccessKey: keys.secretAccessKey,
          ...(keys.sessionToken === undefined ? {} : { sessionToken: keys.sessionToken }),
        },
        region,
        service: 's3',
        sha256: Sha256,
        uriEscapePath: false,
        applyChecksum: true,
      });
      const theirs = await signer.sign(
        {
          method: 'PUT',
          protocol: 'https:',
          hostname: 'host.example',
          path,
          query,
          headers: { ...headers, 'x-amz-content-sha256': payloadHash },
        },
        { signingDate: now },
      );
      const ours = sign({ method: 'PUT', path, query, headers, payloadHash }, keys, region, now);
      expect(ours.authorization).toBe(theirs.headers.authorization);
      expect(ours['x-amz-security-token']).toBe(theirs.headers['x-amz-security-token']);
    }
  });
});

describe('a query', () => {
  it('is ordered by name, not by the text of the pairs', () => {
    expect(queryString({ 'a-b': '1', a: '2', A: 'ü' })).toBe('A=%C3%BC&a=2&a-b=1');
  });
});
