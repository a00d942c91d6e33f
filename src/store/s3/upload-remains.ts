/** What a multipart upload that failed leaves in the store, and its removal. */
import type { Key } from '../../archive/layout.ts';
import type { S3Settings } from '../../settings/s3.ts';
import type { S3Client } from './client.ts';
import { abortUpload, listUploads } from './listing.ts';
import { removeObjects } from './removal.ts';
import { createSdkClient } from './sdk.ts';

/** How far the clocks of store and host may differ when the age of an object is judged. */
export const CLOCK_MS = 15 * 60_000;
const CLEAN_UP_MS = 30_000;

export interface Remains {
  /** The upload, when it was begun. */
  readonly id?: string | undefined;
  /** When uploads of the key since then are ours. */
  readonly started?: number | undefined;
  /** The object itself is not what was sent. */
  readonly wrong?: boolean;
}

/** Nothing stays in the store: neither parts, nor an upload whose beginning was not answered, nor a wrong object. */
export async function cleanUp(
  { client, settings }: { readonly client: S3Client; readonly settings: S3Settings },
  key: Key,
  { id, started, wrong }: Remains,
): Promise<void> {
  const call = { signal: AbortSignal.timeout(CLEAN_UP_MS) };
  const sdk = createSdkClient(client, settings.bucket);
  try {
    if (id !== undefined) await abortUpload(sdk, settings, { key, id }, call);
    if (started !== undefined) {
      for await (const page of listUploads(sdk, settings, key, call)) {
        const ours = page.filter(
          (upload) => upload.key === key && upload.started.getTime() > started - CLOCK_MS,
        );
        for (const upload of ours) await abortUpload(sdk, settings, upload, call);
      }
    }
    if (wrong === true) await removeObjects(sdk, settings, [key], call);
  } catch {
    // What stays is found by `leftovers`; how the upload itself ended is what counts.
  }
}
