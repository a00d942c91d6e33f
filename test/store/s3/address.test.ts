import { describe, expect, it } from 'vitest';
import { readS3Settings } from '../../../src/settings/s3.ts';
import { bucketAddress, encodeKey } from '../../../src/store/s3/address.ts';

function url(bucket: string, environment: Record<string, string>, region = 'eu-central-1'): string {
  const settings = readS3Settings(`s3://${bucket}/x`, environment, {});
  const { protocol, host, path, hostname, port } = bucketAddress(settings, region);
  return `${protocol}://${host}${path} (${hostname} ${port})`;
}

describe('without an endpoint', () => {
  it.each([
    [
      'bucket',
      'eu-central-1',
      'https://bucket.s3.eu-central-1.amazonaws.com (bucket.s3.eu-central-1.amazonaws.com 443)',
    ],
    [
      'dotted.bucket',
      'eu-central-1',
      'https://s3.eu-central-1.amazonaws.com/dotted.bucket (s3.eu-central-1.amazonaws.com 443)',
    ],
    [
      'Old_Bucket',
      'us-east-1',
      'https://s3.us-east-1.amazonaws.com/Old_Bucket (s3.us-east-1.amazonaws.com 443)',
    ],
    [
      'bucket',
      'cn-north-1',
      'https://bucket.s3.cn-north-1.amazonaws.com.cn (bucket.s3.cn-north-1.amazonaws.com.cn 443)',
    ],
  ])('[env-23] %s in %s is at %s', (bucket, region, expected) => {
    expect(url(bucket, {}, region)).toBe(expected);
  });
});

describe('with an endpoint', () => {
  it.each([
    ['bucket', 'http+path://127.0.0.1:9000', 'http://127.0.0.1:9000/bucket (127.0.0.1 9000)'],
    ['bucket', 'https+subdomain://store.example', 'https://bucket.store.example (bucket.store.example 443)'],
    [
      'bucket',
      'https+virtualhost://store.example',
      'https://bucket.store.example (bucket.store.example 443)',
    ],
    ['bucket.example', 'https+virtualhost://store.example', 'https://bucket.example (bucket.example 443)'],
    ['bucket', 'http://[::1]:9000', 'http://[::1]:9000/bucket (::1 9000)'],
    ['bucket', 'http://host:80', 'http://host/bucket (host 80)'],
  ])('%s behind %s is at %s', (bucket, endpoint, expected) => {
    expect(url(bucket, { WALE_S3_ENDPOINT: endpoint })).toBe(expected);
  });
});

describe('a key', () => {
  it('keeps its slashes and loses every other character that has a meaning', () => {
    expect(encodeKey("a b/ä+'()*!~.%2F")).toBe('/a%20b/%C3%A4%2B%27%28%29%2A%21~.%252F');
  });
});
