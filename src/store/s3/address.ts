/** Where a request for the bucket goes: host, port and path of the bucket, for AWS and for endpoints of one's own. */
import type { S3Settings } from '../../settings/s3.ts';

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

/** A bucket name that can be a host label under the wildcard certificate of AWS. */
const HOST_LABEL = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;

export function bucketAddress({ bucket, endpoint }: S3Settings, region: string): Address {
  if (endpoint === undefined) {
    const server = `s3.${region}.${awsDomain(region)}`;
    if (!HOST_LABEL.test(bucket)) return address('https', server, 443, `/${bucket}`);
    return address('https', `${bucket}.${server}`, 443, '');
  }
  const { protocol, host, port, style } = endpoint;
  if (style === 'path') return address(protocol, host, port, `/${bucket}`);
  // With "virtualhost" the original connected to a host named like the bucket; a name without dots can only be a label.
  const server = style === 'virtualhost' && bucket.includes('.') ? bucket : `${bucket}.${host}`;
  return address(protocol, server, port, '');
}

function address(protocol: 'http' | 'https', host: string, port: number, path: string): Address {
  const standard = port === (protocol === 'https' ? 443 : 80);
  return {
    protocol,
    hostname: host.replace(/^\[|\]$/g, ''),
    port,
    host: standard ? host : `${host}:${port}`,
    path,
  };
}

/** Source: the partitions of the AWS SDK's endpoint rules. */
function awsDomain(region: string): string {
  if (region.startsWith('cn-')) return 'amazonaws.com.cn';
  if (region.startsWith('us-isob-')) return 'sc2s.sgov.gov';
  if (region.startsWith('us-isof-')) return 'csp.hci.ic.gov';
  if (region.startsWith('us-iso-')) return 'c2s.ic.gov';
  if (region.startsWith('eu-isoe-')) return 'cloud.adc-e.uk';
  if (region.startsWith('eusc-')) return 'amazonaws.eu';
  return 'amazonaws.com';
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
