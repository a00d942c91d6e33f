/** Cold storage as Amazon has it: what a lifecycle rule and RestoreObject make of an object, and how that is answered. */
import type { Bucket, Stored } from './bucket.ts';
import type { Habits } from './habits.ts';
import { Refused } from './request.ts';

const CLASS = 'x-amz-storage-class';
/** Of objects in an archive tier of INTELLIGENT_TIERING, in any answer but a listing. */
const TIER = 'x-amz-archive-status';
const RESTORE = 'x-amz-restore';

/** What a lifecycle rule does; `tier`: of INTELLIGENT_TIERING. */
export function moveToClass(bucket: Bucket, key: string, storageClass: string, tier?: string): void {
  withHeaders(bucket, key, { [CLASS]: storageClass, ...(tier && { [TIER]: tier }) });
}

/** What RestoreObject does: at first the copy is being made, then it is there. */
export function restoreObject(bucket: Bucket, key: string, state: 'under way' | 'done'): void {
  const done = 'ongoing-request="false", expiry-date="Fri, 21 Dec 2035 00:00:00 GMT"';
  withHeaders(bucket, key, { [RESTORE]: state === 'done' ? done : 'ongoing-request="true"' });
}

function withHeaders(bucket: Bucket, key: string, headers: Record<string, string>): void {
  const object = bucket.get(key);
  if (object === undefined) throw new Error(`there is no ${key}`);
  bucket.set(key, { ...object, headers: { ...object.headers, ...headers } });
}

export function isCold({ headers }: Stored, { coldClasses }: Habits): boolean {
  if (headers[RESTORE]?.includes('"false"')) return false;
  return headers[TIER] !== undefined || coldClasses.includes(headers[CLASS] ?? 'STANDARD');
}

export function refusedCold({ headers }: Stored): Refused {
  const tier = headers[TIER];
  const elements = { StorageClass: headers[CLASS] ?? '', ...(tier && { AccessTier: tier }) };
  return new Refused(403, 'InvalidObjectState', "The operation is not valid for the object's storage class", {
    elements,
  });
}
