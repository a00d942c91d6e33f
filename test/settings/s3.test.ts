import { describe, expect, it } from 'vitest';
import { readS3Settings } from '../../src/settings/s3.ts';
import type { Environment, GlobalOptions } from '../../src/settings/settings.ts';

const KEYS = { AWS_ACCESS_KEY_ID: 'AKID', AWS_SECRET_ACCESS_KEY: 'secret' };

function read(environment: Environment = {}, options: GlobalOptions = {}, url = 's3://bucket/a/path') {
  return readS3Settings(url, { ...KEYS, ...environment }, options);
}

describe('the prefix', () => {
  it.each([
    ['s3://bucket/a/path', 'bucket', 'a/path'],
    ['s3://bucket/a/path/', 'bucket', 'a/path'],
    ['s3://bucket//a', 'bucket', 'a'],
    ['s3://bucket', 'bucket', ''],
    ['s3://bucket/', 'bucket', ''],
    ['s3://My.Old_Bucket/x', 'My.Old_Bucket', 'x'],
  ])('%s', (url, bucket, prefix) => {
    expect(read({}, {}, url)).toMatchObject({ bucket, prefix });
  });

  it.each(['s3://', 's3:///path', 's3://b', 's3://-bucket/', 's3://bu cket/x'])(
    '%s names no bucket',
    (url) => {
      expect(() => read({}, {}, url)).toThrow('the S3 prefix does not name a bucket');
    },
  );

  it('is not repeated in the message when it carries a password', () => {
    try {
      read({}, {}, 's3://user:hidden@bucket/path');
      expect.unreachable();
    } catch (error) {
      expect(JSON.stringify(error)).not.toContain('hidden');
    }
  });
});

describe('credentials', () => {
  it('are the key, the secret and either name of the token', () => {
    const keys = { accessKeyId: 'AKID', secretAccessKey: 'secret' };
    expect(read().credentials).toEqual({ ...keys, sessionToken: undefined });
    expect(read({ AWS_SECURITY_TOKEN: 'old' }).credentials).toEqual({ ...keys, sessionToken: 'old' });
    const both = { AWS_SECURITY_TOKEN: 'old', AWS_SESSION_TOKEN: 'new' };
    expect(read(both).credentials).toEqual({ ...keys, sessionToken: 'new' });
  });

  it('take the key from the option before the variable', () => {
    expect(read({}, { awsAccessKeyId: 'TYPED' }).credentials).toMatchObject({ accessKeyId: 'TYPED' });
  });

  it("come from the SDK's chain when neither key nor secret is given", () => {
    expect(readS3Settings('s3://bucket', {}, {}).credentials).toBe('chain');
    expect(
      readS3Settings('s3://bucket', { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }, {}).credentials,
    ).toBe('chain');
  });

  it('come from the instance profile when the option or the variable says so', () => {
    expect(read({}, { awsInstanceProfile: true }).credentials).toBe('instance-profile');
    for (const text of ['1', 'true', 'TRUE']) {
      expect(read({ AWS_INSTANCE_PROFILE: text }).credentials).toBe('instance-profile');
    }
    for (const text of ['0', 'false', '']) {
      expect(read({ AWS_INSTANCE_PROFILE: text }).credentials).toMatchObject({ accessKeyId: 'AKID' });
    }
    expect(() => read({ AWS_INSTANCE_PROFILE: 'perhaps' })).toThrow(
      'AWS_INSTANCE_PROFILE is neither true nor false',
    );
  });

  it("miss a half with the original's words", () => {
    expect(() => readS3Settings('s3://bucket', { AWS_SECRET_ACCESS_KEY: 'secret' }, {})).toThrow(
      'AWS Access Key credential is required but not provided',
    );
    expect(() => readS3Settings('s3://bucket', { AWS_ACCESS_KEY_ID: 'AKID' }, {})).toThrow(
      'AWS Secret Key credential is required but not provided',
    );
  });

  it('with a blank or a line break inside are refused without being shown', () => {
    try {
      read({ AWS_SECRET_ACCESS_KEY: 'hid den' });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ message: expect.stringContaining('AWS_SECRET_ACCESS_KEY') });
      expect(JSON.stringify(error)).not.toContain('hid');
    }
  });
});

describe('the endpoint', () => {
  it.each([
    ['http+path://127.0.0.1:9000', { protocol: 'http', style: 'path', host: '127.0.0.1', port: 9000 }],
    [
      'https+virtualhost://store.example',
      { protocol: 'https', style: 'virtualhost', host: 'store.example', port: 443 },
    ],
    [
      'https+subdomain://store.example:8443',
      { protocol: 'https', style: 'subdomain', host: 'store.example', port: 8443 },
    ],
    ['https://store.example', { protocol: 'https', style: 'path', host: 'store.example', port: 443 }],
    ['http://[::1]:80/', { protocol: 'http', style: 'path', host: '[::1]', port: 80 }],
  ])('%s', (text, endpoint) => {
    expect(read({ WALE_S3_ENDPOINT: text }).endpoint).toEqual(endpoint);
  });

  it.each([
    ['http+foo://host', 'WALE_S3_ENDPOINT URI scheme is invalid'],
    ['host:9000', 'WALE_S3_ENDPOINT URI scheme is invalid'],
    ['ftp://host', 'WALE_S3_ENDPOINT URI scheme is invalid'],
    ['https://user:hidden@host', 'WALE_S3_ENDPOINT does not support username or password'],
    ['https://host/path', 'WALE_S3_ENDPOINT does not support a URI path'],
    ['https://host?x=y', 'WALE_S3_ENDPOINT does not support query parameters'],
    ['https://host:99999', 'WALE_S3_ENDPOINT is not an address'],
  ])('%s: %s', (text, message) => {
    expect(() => read({ WALE_S3_ENDPOINT: text })).toThrow(message);
  });
});

describe('the region', () => {
  it('is us-east-1 unless one is set', () => {
    expect(read().region).toBe('us-east-1');
    expect(read({ AWS_DEFAULT_REGION: 'eu-west-1' }).region).toBe('eu-west-1');
    expect(read({ AWS_DEFAULT_REGION: 'eu-west-1', AWS_REGION: 'eu-central-1' }).region).toBe('eu-central-1');
  });

  it.each([
    ['s3.eu-central-1.amazonaws.com', 'eu-central-1'],
    ['s3-eu-west-1.amazonaws.com', 'eu-west-1'],
    ['s3.dualstack.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['s3-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['s3-fips.dualstack.us-east-2.amazonaws.com', 'us-east-2'],
    ['bucket.vpce-0a1b-2c3d.s3.ap-southeast-2.vpce.amazonaws.com', 'ap-southeast-2'],
    ['s3.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['s3.amazonaws.com', 'us-east-1'],
    ['s3-accelerate.amazonaws.com', 'us-east-1'],
    ['s3.eu-central-1.store.example', 'us-east-1'],
  ])('is that of an AWS endpoint, unless one is set: %s', (host, region) => {
    const endpoint = { WALE_S3_ENDPOINT: `https+path://${host}:443` };
    expect(read(endpoint).region).toBe(region);
    expect(read({ ...endpoint, AWS_REGION: 'sa-east-1' }).region).toBe('sa-east-1');
  });

  it('[env-26] cannot lead to another host', () => {
    expect(() => read({ AWS_REGION: 'evil.example/#' })).toThrow('AWS_REGION is not the name of a region');
  });
});

describe('server-side encryption', () => {
  const endpoint = { WALE_S3_ENDPOINT: 'https://store.example' };

  it('is AES256 on AWS, as the original asked for it, and none with an endpoint elsewhere', () => {
    expect(read().encryption).toEqual({ kind: 'AES256' });
    expect(read(endpoint).encryption).toEqual({ kind: 'none' });
    for (const host of ['s3-eu-west-1.amazonaws.com', 's3.cn-north-1.amazonaws.com.cn'])
      expect(read({ WALE_S3_ENDPOINT: `https+path://${host}` }).encryption).toEqual({ kind: 'AES256' });
    const lookalike = read({ WALE_S3_ENDPOINT: 'https://amazonaws.com.example' });
    expect(lookalike.encryption).toEqual({ kind: 'none' });
  });

  it('is what WALE_S3_SSE says', () => {
    expect(read({ WALE_S3_SSE: 'none' }).encryption).toEqual({ kind: 'none' });
    expect(read({ ...endpoint, WALE_S3_SSE: 'AES256' }).encryption).toEqual({ kind: 'AES256' });
    expect(read({ WALE_S3_SSE: 'aws:kms' }).encryption).toEqual({ kind: 'aws:kms', keyId: undefined });
    expect(read({ WALE_S3_SSE_KMS_KEY_ID: 'alias/wal' }).encryption).toEqual({
      kind: 'aws:kms',
      keyId: 'alias/wal',
    });
  });

  it('does not guess what a mistake means', () => {
    expect(() => read({ WALE_S3_SSE: 'yes' })).toThrow('WALE_S3_SSE is not a kind of server-side encryption');
    expect(() => read({ WALE_S3_SSE: 'AES256', WALE_S3_SSE_KMS_KEY_ID: 'x' })).toThrow(
      'does not ask for KMS',
    );
  });
});

describe('conditional puts', () => {
  it.each([
    [undefined, 'yes'],
    ['https://s3.eu-central-1.amazonaws.com', 'yes'],
    ['https://abc.r2.cloudflarestorage.com', 'yes'],
    ['https://store.example', 'unknown'],
    ['https://amazonaws.com.example', 'unknown'],
  ])('endpoint %s: %s', (endpoint, expected) => {
    expect(read({ WALE_S3_ENDPOINT: endpoint }).conditionalPut).toBe(expected);
  });

  it('can be set', () => {
    expect(
      read({ WALE_S3_CONDITIONAL_PUT: 'true', WALE_S3_ENDPOINT: 'https://store.example' }).conditionalPut,
    ).toBe('yes');
    expect(read({ WALE_S3_CONDITIONAL_PUT: 'false' }).conditionalPut).toBe('no');
  });
});

describe('the way to the store', () => {
  it('takes storage class and authorities as they are', () => {
    expect(read({ WALE_S3_STORAGE_CLASS: 'STANDARD_IA', AWS_CA_BUNDLE: '/ca.pem' })).toMatchObject({
      storageClass: 'STANDARD_IA',
      caFile: '/ca.pem',
    });
  });

  it('[env-27] goes through HTTPS_PROXY, never HTTP_PROXY, in either case, unless NO_PROXY names the store', () => {
    expect(read({ HTTPS_PROXY: 'http://proxy:3128' }).proxy).toBe('http://proxy:3128');
    expect(read({ http_proxy: 'http://proxy:3128', HTTP_PROXY: 'http://proxy:3128' }).proxy).toBeUndefined();
    expect(read({ https_proxy: 'proxy:3128' }).proxy).toBe('http://proxy:3128');
    const endpoint = { WALE_S3_ENDPOINT: 'https://s3.store.example:9000', HTTPS_PROXY: 'http://proxy:3128' };
    for (const no of [
      '*',
      'store.example',
      '.store.example',
      'x, s3.store.example',
      's3.store.example:9000',
    ]) {
      expect(read({ ...endpoint, NO_PROXY: no }).proxy).toBeUndefined();
    }
    for (const no of ['', 'e.example', 'ore.example', 's3.store.example:9001', 'other']) {
      expect(read({ ...endpoint, NO_PROXY: no }).proxy).toBe('http://proxy:3128');
    }
  });

  it.each([
    [{ WALE_S3_ENDPOINT: 'https+subdomain://store.example' }, 'my-bucket.store.example'],
    [{ WALE_S3_ENDPOINT: 'https+subdomain://store.example' }, 'store.example'],
    [{ AWS_REGION: 'eu-central-1' }, 'my-bucket.s3.eu-central-1.amazonaws.com'],
    [{ AWS_REGION: 'cn-north-1' }, '.amazonaws.com.cn'],
  ])('NO_PROXY may name the host that a bucket has of its own: %s %s', (environment, no) => {
    const proxied = { ...environment, HTTPS_PROXY: 'http://proxy:3128' };
    const proxyOf = (list: string) =>
      readS3Settings('s3://my-bucket/x', { ...KEYS, ...proxied, NO_PROXY: list }, {}).proxy;
    expect(proxyOf(no)).toBeUndefined();
    expect(proxyOf(`other.${no.replace(/^\./, '')}`)).toBe('http://proxy:3128');
  });

  it.each([
    ['backups.example.com', { WALE_S3_ENDPOINT: 'https+virtualhost://store.example' }, 'backups.example.com'],
    ['bucket', { AWS_REGION: 'us-iso-east-1' }, '.c2s.ic.gov'],
  ])('NO_PROXY names the very host that is connected to: bucket %s %s %s', (bucket, environment, no) => {
    const proxied = { ...KEYS, ...environment, HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: no };
    expect(readS3Settings(`s3://${bucket}/x`, proxied, {}).proxy).toBeUndefined();
  });

  it.each([
    [{}, 'sts.eu-central-1.amazonaws.com'],
    [{ AWS_REGION: 'cn-north-1' }, 'sts.cn-north-1.amazonaws.com.cn'],
    [{ AWS_ENDPOINT_URL_STS: 'https://identity.example:8443/x' }, 'identity.example:8443'],
    [{ AWS_ENDPOINT_URL: 'https://clone.example' }, 'clone.example'],
  ])('and that of who gives the keys of a role: %s %s', (changes, no) => {
    const environment = { AWS_REGION: 'eu-central-1', HTTPS_PROXY: 'http://proxy:3128', ...changes };
    expect(read({ ...environment, NO_PROXY: 'store.example' }).identityProxy).toBe('http://proxy:3128');
    expect(read({ ...environment, NO_PROXY: no }).identityProxy).toBeUndefined();
  });

  it('cannot be an address that is none, and a password in it is not shown', () => {
    try {
      read({ HTTPS_PROXY: 'http://user:hidden@proxy:port' });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ message: 'HTTPS_PROXY is not the address of a proxy' });
      expect(JSON.stringify(error)).not.toContain('hidden');
    }
  });
});
