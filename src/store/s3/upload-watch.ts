/** The client of one multipart upload: looks at the requests that the SDK's uploader makes of it. */
import type { S3Client } from './client.ts';

export interface Watched {
  readonly client: S3Client;
  /** The store may have begun an upload of whose identity we never heard. */
  maybeBegunTwice(): boolean;
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
  return {
    maybeBegunTwice: () => unheard,
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
          return answer;
        } catch (error) {
          if (!completing) failure.abort(error);
          throw error;
        }
      },
    },
  };
}
