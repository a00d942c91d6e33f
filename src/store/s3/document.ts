/** What a store's answer says in its body: whether it is the document that was asked for, whole, and a store's at all. */
import { type Refusal, refused, S3Error, type Sent } from './failure.ts';

export interface Asked extends Sent {
  readonly query: Readonly<Record<string, string>>;
}

/** A page of 1000 keys of 1024 bytes, each of them percent-encoded, is 3 MB. */
export const DOCUMENT_LIMIT_BYTES = 16 * 1024 * 1024;

const DECLARATION = /^\uFEFF?(?:\s*<\?[^>]*\?>)?\s*/;

/**
 * Of an answer with status 200 to 299. S3 answers some requests before it knows how they end, and puts the error into the
 * document; a document that lacks its end came from a connection that broke; and web servers and portals say 200 to all.
 */
export function refuseDocument(asked: Asked, answer: Refusal): void {
  const text = answer.text.replace(DECLARATION, '').trimEnd();
  const root = /^<(!?[A-Za-z]\w*)/.exec(text)?.[1];
  if (root === 'Error') throw refused(asked, { ...answer, status: 500 });
  const expected = documentOf(asked);
  if (expected === undefined) {
    if (text !== '') throw notAStore(asked, 'a document');
    if (asked.method === 'PUT' && !namesWhatItStored(answer))
      throw notAStore(asked, 'nothing that a store says');
    return;
  }
  if (root !== undefined && root !== expected) throw notAStore(asked, `a document of the kind "${root}"`);
  if (root !== undefined && (text.endsWith(`</${root}>`) || /^<\w+(?:\s[^<>]*)?\/>$/.test(text))) return;
  throw new S3Error("the store's answer was cut off", {
    status: 0,
    detail: `${asked.what}: ${text.length} characters, not a whole document.`,
    transient: true,
  });
}

/** The root of the document that such a request is answered with; undefined: it is answered with none. */
function documentOf({ method, query }: Asked): string | undefined {
  if (method === 'GET') return 'uploads' in query ? 'ListMultipartUploadsResult' : 'ListBucketResult';
  if (method !== 'POST') return undefined;
  if ('delete' in query) return 'DeleteResult';
  return 'uploads' in query ? 'InitiateMultipartUploadResult' : 'CompleteMultipartUploadResult';
}

/** Every store gives what it has stored an ETag, be it an empty one, or at least the answer an identity. */
function namesWhatItStored({ headers }: Refusal): boolean {
  return Object.keys(headers).some((name) => name === 'etag' || name.startsWith('x-amz-'));
}

function notAStore({ what }: Asked, answer: string): S3Error {
  return new S3Error('what answers is not an S3 store', {
    status: 0,
    detail: `${what} was answered with ${answer.slice(0, 80)}.`,
    hint: 'Check WALE_S3_ENDPOINT: the address, and how it names the bucket.',
    transient: false,
  });
}

/** `complete` false: what comes after `limit` bytes is left out. */
export async function readText(
  body: AsyncIterable<Uint8Array>,
  limit: number,
  complete: boolean,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.byteLength;
    if (length > limit) break;
  }
  if (length > limit && complete) {
    throw new S3Error("the store's answer has no end", {
      status: 0,
      detail: `It is longer than ${limit} bytes.`,
      hint: 'Check that WALE_S3_ENDPOINT is the address of an S3 store.',
      transient: false,
    });
  }
  return Buffer.concat(chunks).toString('utf8');
}
