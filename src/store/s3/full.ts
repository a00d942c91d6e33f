/**
 * How stores say that they have no room. It is final: neither a disk nor a quota gets larger while a command asks again,
 * and PostgreSQL asks again by itself.
 */
import { DELETE_HINT } from '../store.ts';

/** Insufficient Storage. Ceph (a full cluster), MinIO, Dell ECS. */
const FULL_STATUS = 507;

/** Whatever status they come with: Ceph and Versity have 403 for QuotaExceeded, Scality 429, MinIO 400 for its own. */
const FULL_CODES = new Set([
  'InsufficientCapacity',
  'InsufficientStorage',
  // Huawei OBS.
  'InsufficientStorageSpace',
  'QuotaExceeded',
  'ServiceQuotaExceeded',
  'ServiceQuotaExceededException',
  'XMinioAdminBucketQuotaExceeded',
  'XMinioStorageFull',
]);

/** Of those who say it in words only, as AccessDenied or EntityTooLarge: Garage, Swift, Backblaze B2. */
const FULL_WORDS = /\b(?:size|object) quota is reached\b|\bupload exceeds quota\b|\bstorage cap exceeded\b/i;

export function saysFull(status: number, code: string | undefined, explanation: string): boolean {
  if (status === FULL_STATUS || (code !== undefined && FULL_CODES.has(code))) return true;
  return (status === 400 || status === 403) && FULL_WORDS.test(explanation);
}

export const FULL_HINT = `Raise the quota of the bucket or of its owner, or add room to the store. ${DELETE_HINT}`;
