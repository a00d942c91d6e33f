/** Where a request for the bucket goes: host, port and path of the bucket, for AWS and for endpoints of one's own. */
import type { S3Settings } from '../../settings/s3.ts';
import { bucketServer } from '../../settings/s3-endpoint.ts';

export interface Address {
  readonly protocol: 'http' | 'https';
  /** To connect to; an IPv6 address without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** Value of the Host header: with brackets, and with the port unless it is the protocol's own. */
  readonly host: string;
  /** `/bucket` or empty; percent-encoded. */
  readonly path: string;
}

export function bucketAddress({ bucket, endpoint }: S3Settings, region: string): Address {
  const { protocol, host, port, namesBucket } = bucketServer(bucket, endpoint, region);
  const standard = port === (protocol === 'https' ? 443 : 80);
  return {
    protocol,
    hostname: host.replace(/^\[|\]$/g, ''),
    port,
    host: standard ? host : `${host}:${port}`,
    path: namesBucket ? '' : `/${bucket}`,
  };
}

/** Percent-encodes everything but the unreserved characters, as Signature V4 demands. */
export function encodePart(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** An object's key as a path that starts with a slash. */
export function encodeKey(key: string): string {
  return `/${key.split('/').map(encodePart).join('/')}`;
}
