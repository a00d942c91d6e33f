/** What a test does on RADOS Gateway as its administrator: buckets, and policies of users (by IAM's own requests). */
import { createHmac } from 'node:crypto';
import type { Policy } from '../harness/s3/policy.ts';
import { elementOf } from '../harness/s3/request.ts';

export interface RadosAccount {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export async function createBucket(account: RadosAccount, bucket: string): Promise<void> {
  await send(account, 'PUT', `/${bucket}`);
}

/** From now on the bucket keeps what is replaced or removed. */
export async function enableVersions(account: RadosAccount, bucket: string): Promise<void> {
  const document = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>';
  await send(account, 'PUT', `/${bucket}?versioning`, document);
}

/** One version of a key, or the mark that it is deleted. */
export interface Version {
  readonly kind: 'Version' | 'DeleteMarker';
  readonly key: string;
  readonly id: string;
  readonly isLatest: boolean;
}

/** At most a thousand. */
export async function listVersions(account: RadosAccount, bucket: string): Promise<readonly Version[]> {
  const answer = await send(account, 'GET', `/${bucket}?versions`);
  return [...answer.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)].map(([, kind, content = '']) => ({
    kind: kind === 'Version' ? 'Version' : 'DeleteMarker',
    key: elementOf(content, 'Key') ?? '',
    id: elementOf(content, 'VersionId') ?? '',
    isLatest: elementOf(content, 'IsLatest') === 'true',
  }));
}

export async function removeVersion(
  account: RadosAccount,
  bucket: string,
  { key, id }: Version,
): Promise<void> {
  await send(account, 'DELETE', `/${bucket}/${key}?versionId=${id}`);
}

/** Replaces the policy of that user; needs the capability `user-policy=*`. */
export async function putUserPolicy(account: RadosAccount, user: string, policy: Policy): Promise<void> {
  const document = JSON.stringify({ Version: '2012-10-17', Statement: policy });
  const form = { Action: 'PutUserPolicy', UserName: user, PolicyName: 'wal-e', PolicyDocument: document };
  await send(account, 'POST', '/', new URLSearchParams({ ...form, Version: '2010-05-08' }).toString());
}

/** Signature version 2, which is short, and which RADOS Gateway still takes. */
async function send(account: RadosAccount, method: string, path: string, body = ''): Promise<string> {
  const date = new Date().toUTCString();
  const type = body === '' ? '' : 'application/x-www-form-urlencoded';
  const text = `${method}\n\n${type}\n${date}\n${path}`;
  const signature = createHmac('sha1', account.secretAccessKey).update(text).digest('base64');
  const response = await fetch(new URL(path, account.url), {
    method,
    headers: {
      date,
      authorization: `AWS ${account.accessKeyId}:${signature}`,
      ...(type === '' ? {} : { 'content-type': type }),
    },
    ...(body === '' ? {} : { body }),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${answer}`);
  return answer;
}
