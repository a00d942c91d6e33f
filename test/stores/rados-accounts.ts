/** What a test does on RADOS Gateway as its administrator: buckets, and policies of users (by IAM's own requests). */
import { createHmac } from 'node:crypto';
import type { Policy } from '../harness/s3/policy.ts';

export interface RadosAccount {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export async function createBucket(account: RadosAccount, bucket: string): Promise<void> {
  await send(account, 'PUT', `/${bucket}`);
}

/** Replaces the policy of that user; needs the capability `user-policy=*`. */
export async function putUserPolicy(account: RadosAccount, user: string, policy: Policy): Promise<void> {
  const document = JSON.stringify({ Version: '2012-10-17', Statement: policy });
  const form = { Action: 'PutUserPolicy', UserName: user, PolicyName: 'wal-e', PolicyDocument: document };
  await send(account, 'POST', '/', new URLSearchParams({ ...form, Version: '2010-05-08' }).toString());
}

/** Signature version 2, which is short, and which RADOS Gateway still takes. */
async function send(account: RadosAccount, method: string, path: string, body = ''): Promise<void> {
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
}
