/** Who may do what: the part of IAM's policy language that a policy for wal-e needs, enforced as S3 enforces it. */
import { type Received, Refused } from './request.ts';

export interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  /** Only what listings are limited by. */
  readonly Condition?: { readonly StringLike: { readonly 's3:prefix': string } };
}

export type Policy = readonly Statement[];

/** What S3 asks the policy for; a missing object is told only to who may list. */
export function actionOf({ method, key, query }: Received): string {
  if (key === '') return query.has('uploads') ? 's3:ListBucketMultipartUploads' : 's3:ListBucket';
  if (method === 'GET' || method === 'HEAD') return 's3:GetObject';
  if (method === 'DELETE') return query.has('uploadId') ? 's3:AbortMultipartUpload' : 's3:DeleteObject';
  return 's3:PutObject';
}

/** `prefix`: of a listing. */
export function allows(
  policy: Policy | undefined,
  action: string,
  { bucket, key, prefix }: { readonly bucket: string; readonly key: string; readonly prefix: string },
): boolean {
  if (policy === undefined) return true;
  const resource = key === '' ? `arn:aws:s3:::${bucket}` : `arn:aws:s3:::${bucket}/${key}`;
  const matching = policy.filter(
    (statement) =>
      list(statement.Action).some((pattern) => glob(pattern).test(action)) &&
      list(statement.Resource).some((pattern) => glob(pattern).test(resource)) &&
      glob(statement.Condition?.StringLike['s3:prefix'] ?? '*').test(prefix),
  );
  return (
    matching.some(({ Effect }) => Effect === 'Allow') && !matching.some(({ Effect }) => Effect === 'Deny')
  );
}

export function denied(action: string, bucket: string): Refused {
  return new Refused(
    403,
    'AccessDenied',
    `User: arn:aws:iam::123456789012:user/wal-e is not authorized to perform: ${action} on resource: "arn:aws:s3:::${bucket}" because no identity-based policy allows the ${action} action`,
  );
}

function list(value: string | readonly string[]): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

function glob(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`, 's');
}
