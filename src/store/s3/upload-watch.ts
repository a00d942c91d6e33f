/** The client of one multipart upload: looks at the requests that the SDK's uploader makes of it. */
import type { S3Answer, S3Client, S3Request } from './client.ts';
import { xmlText } from './failure.ts';
import type { Joined, SentPart } from './whole.ts';

export interface Watched {
  readonly client: S3Client;
  /** The store may have begun an upload of whose identity we never heard. */
  maybeBegunTwice(): boolean;
  /** What the store has taken, and the ETag that its completion was answered with. */
  joined(): Joined;
}

/**
 * A part that failed for good ends the whole upload at once; what becomes of the completion is the uploader's to judge.
 * `whole`: headers for the request that completes the upload.
 */
export function watch(
  client: S3Client,
  failure: AbortController,
  whole: () => Record<string, string>,
): Watched {
  let unheard = false;
  const taken = new Map<number, SentPart>();
  const etags: string[] = [];
  return {
    maybeBegunTwice: () => unheard,
    joined: () => ({ parts: inOrder(taken), etags }),
    client: {
      once: client.once,
      async send(request, signal) {
        const { method, query = {}, headers } = request;
        const beginning = method === 'POST' && 'uploads' in query;
        const completing = method === 'POST' && 'uploadId' in query;
        if (beginning) unheard = true;
        try {
          const sent = completing ? { ...request, headers: { ...headers, ...whole() } } : request;
          const answer = await client.send(sent, signal);
          if (beginning) unheard = answer.attempts > 1;
          if (completing) etags.push(xmlText(answer.text, 'ETag') ?? '');
          if (method === 'PUT') taken.set(Number(query.partNumber), sentPart(request, answer));
          return answer;
        } catch (error) {
          if (!completing) failure.abort(error);
          throw error;
        }
      },
    },
  };
}

function sentPart({ body = [] }: S3Request, { payloadHash, headers }: S3Answer): SentPart {
  const bytes = body.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return { bytes, sha256: payloadHash, etag: headers.etag ?? '' };
}

/** Parts on their way at the same time are answered in any order. */
function inOrder(taken: ReadonlyMap<number, SentPart>): SentPart[] {
  return [...taken].sort(([a], [b]) => a - b).map(([, part]) => part);
}
