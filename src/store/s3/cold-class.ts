/**
 * Storage classes whose objects can be read only once a copy was asked for and made, which takes hours (RestoreObject):
 * always, or, with INTELLIGENT_TIERING, where they were moved on to one of its archive tiers. A listing tells the class,
 * a HEAD whether there is a copy at the moment.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html (x-amz-restore, x-amz-archive-status).
 */
import type { ColdObject } from '../store.ts';

const TIERED = 'INTELLIGENT_TIERING';
const COLD_CLASSES: readonly string[] = ['GLACIER', 'DEEP_ARCHIVE', TIERED];

export type Coldness = Pick<ColdObject, 'place' | 'returning'>;

export function isColdClass(storageClass: string | undefined): storageClass is string {
  return storageClass !== undefined && COLD_CLASSES.includes(storageClass);
}

/** Of an answer to HEAD; undefined when the object can be read. */
export function coldnessOf(headers: Readonly<Record<string, string>>): Coldness | undefined {
  const storageClass = headers['x-amz-storage-class'];
  if (!isColdClass(storageClass)) return undefined;
  const tier = headers['x-amz-archive-status'];
  if (storageClass === TIERED && tier === undefined) return undefined;
  const isUnderWay = /ongoing-request="(true|false)"/.exec(headers['x-amz-restore'] ?? '')?.[1];
  if (isUnderWay === 'false') return undefined;
  const place = tier === undefined ? storageClass : `${storageClass} ${tier}`;
  return { place, returning: isUnderWay === 'true' };
}
