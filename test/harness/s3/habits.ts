/** How a store behaves where stores differ; the strict default is Amazon's. Seen on the real ones: docs/stores.md. */
import type { Part } from './bucket.ts';

export interface Habits {
  /** If-None-Match on PUT: honoured, ignored, or refused with 501 or 400. */
  readonly conditionalPut: 'honoured' | 'ignored' | 501 | 400;
  /** The same on CompleteMultipartUpload; 412 even for a new object is Swift's. */
  readonly conditionalComplete: 'honoured' | 'ignored' | 412;
  /** The ETag of objects: MD5, another digest, nothing of the kind (Amazon's with KMS), or none. */
  readonly etag: 'md5' | 'odd' | 'opaque' | 'empty';
  /** Ceph answers CompleteMultipartUpload with an empty ETag. */
  readonly completeEtag: 'given' | 'empty';
  /** The ETag of an object in parts: of the parts' ETags, or of the same form and made in another way. */
  readonly compositeEtag: 'of the parts' | 'otherwise';
  /** What the store puts together of the parts that were listed, and makes the ETag of; a sound one: all, in order. */
  readonly join: (parts: readonly Part[]) => readonly Part[];
  /** PUT without Content-MD5 is refused (buckets with object lock). */
  readonly putNeedsMd5: boolean;
  /** DeleteObjects takes Content-MD5 only, not the newer checksums. */
  readonly deleteNeedsMd5: boolean;
  /** x-amz-server-side-encryption: taken, or refused with that status. */
  readonly encryption: 'taken' | 400 | 501;
  /** Storage classes the store has; undefined for any. */
  readonly storageClasses: readonly string[] | undefined;
  /** Those of them from which an object has to be brought back before it can be read. */
  readonly coldClasses: readonly string[];
  /** Errors carry a code and a message. */
  readonly errorCodes: boolean;
  /** Checksums (x-amz-checksum-*) are kept and given back. */
  readonly checksums: boolean;
  /** The region of the signature must be the bucket's. */
  readonly strictRegion: boolean;
  /** Range and If-Match on GET are obeyed. */
  readonly ranges: boolean;
  /** Its word for having no room. */
  readonly full: { readonly status: number; readonly code: string; readonly message?: string };
}

export const AMAZON: Habits = {
  conditionalPut: 'honoured',
  conditionalComplete: 'honoured',
  etag: 'md5',
  completeEtag: 'given',
  compositeEtag: 'of the parts',
  join: (parts) => parts,
  putNeedsMd5: false,
  deleteNeedsMd5: false,
  encryption: 'taken',
  storageClasses: undefined,
  coldClasses: ['GLACIER', 'DEEP_ARCHIVE'],
  errorCodes: true,
  checksums: true,
  strictRegion: true,
  ranges: true,
  full: { status: 507, code: 'InsufficientStorage', message: 'There is no room.' },
};

export const CEPH: Habits = {
  ...AMAZON,
  conditionalComplete: 'ignored',
  completeEtag: 'empty',
  encryption: 400,
  storageClasses: ['STANDARD', 'STANDARD_IA', 'REDUCED_REDUNDANCY'],
  checksums: false,
  strictRegion: false,
  full: { status: 403, code: 'QuotaExceeded' },
};

export const SWIFT: Habits = {
  ...AMAZON,
  conditionalPut: 501,
  conditionalComplete: 412,
  deleteNeedsMd5: true,
  encryption: 501,
  storageClasses: ['STANDARD'],
  checksums: false,
  full: { status: 400, code: 'EntityTooLarge', message: 'Upload exceeds quota.' },
};

/** The least that still is S3. */
export const POOREST: Habits = {
  ...AMAZON,
  conditionalPut: 'ignored',
  conditionalComplete: 'ignored',
  etag: 'odd',
  completeEtag: 'empty',
  putNeedsMd5: true,
  deleteNeedsMd5: true,
  encryption: 501,
  errorCodes: false,
  checksums: false,
  strictRegion: false,
};
