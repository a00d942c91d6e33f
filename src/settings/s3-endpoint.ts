/** `WALE_S3_ENDPOINT`: `http+path://host:port`, `https+virtualhost://…`, `…+subdomain://…`, or plain `https://host:port`. */
import { SettingError } from '../errors.ts';

/** How a bucket is named in a request: in the path, as the first label of the host, or as the whole host. */
export type BucketStyle = 'path' | 'subdomain' | 'virtualhost';

export interface S3Endpoint {
  readonly protocol: 'http' | 'https';
  readonly style: BucketStyle;
  /** IPv6 addresses keep their brackets. */
  readonly host: string;
  readonly port: number;
}

const SCHEME = /^(https?)(?:\+(path|subdomain|virtualhost))?$/;

export function parseEndpoint(text: string): S3Endpoint {
  const match = /^([^:]*):\/\/(.*)$/s.exec(text);
  const scheme = SCHEME.exec(match?.[1] ?? '');
  if (match === null || scheme === null) {
    throw new SettingError('WALE_S3_ENDPOINT URI scheme is invalid', {
      detail: `The scheme defined is '${match?.[1] ?? ''}'.`,
      hint: 'An example of a valid endpoint is "https+path://store.example.com:9000".',
    });
  }
  const protocol = scheme[1] === 'https' ? 'https' : 'http';
  const url = parseAddress(`${protocol}://${match[2]}`);
  const style = scheme[2];
  return {
    protocol,
    style: style === 'subdomain' || style === 'virtualhost' ? style : 'path',
    host: url.hostname,
    port: url.port === '' ? (protocol === 'https' ? 443 : 80) : Number(url.port),
  };
}

/** The server that requests for a bucket go to. */
export interface BucketServer extends Pick<S3Endpoint, 'protocol' | 'host' | 'port'> {
  /** Its name tells the bucket; else the path must. */
  readonly namesBucket: boolean;
}

/** A bucket name that can be a host label under the wildcard certificate of AWS. */
const HOST_LABEL = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/;

/** `endpoint` undefined: AWS itself. */
export function bucketServer(bucket: string, endpoint: S3Endpoint | undefined, region: string): BucketServer {
  if (endpoint === undefined) {
    const server = `s3.${region}.${awsDomain(region)}`;
    const namesBucket = HOST_LABEL.test(bucket);
    return { protocol: 'https', host: namesBucket ? `${bucket}.${server}` : server, port: 443, namesBucket };
  }
  const { protocol, host, port, style } = endpoint;
  if (style === 'path') return { protocol, host, port, namesBucket: false };
  // With "virtualhost" the original connected to a host named like the bucket; a name without dots can only be a label.
  const isWhole = style === 'virtualhost' && bucket.includes('.');
  return { protocol, host: isWhole ? bucket : `${bucket}.${host}`, port, namesBucket: true };
}

/** Source: the partitions of the AWS SDK's endpoint rules. */
export function awsDomain(region: string): string {
  if (region.startsWith('cn-')) return 'amazonaws.com.cn';
  if (region.startsWith('us-isob-')) return 'sc2s.sgov.gov';
  if (region.startsWith('us-isof-')) return 'csp.hci.ic.gov';
  if (region.startsWith('us-iso-')) return 'c2s.ic.gov';
  if (region.startsWith('eu-isoe-')) return 'cloud.adc-e.uk';
  if (region.startsWith('eusc-')) return 'amazonaws.eu';
  return 'amazonaws.com';
}

function parseAddress(text: string): URL {
  const hint = 'WALE_S3_ENDPOINT names a protocol, a bucket style, a host and a port, nothing else.';
  if (!URL.canParse(text)) throw new SettingError('WALE_S3_ENDPOINT is not an address', { hint });
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw new SettingError('WALE_S3_ENDPOINT does not support username or password', {
      hint: 'Credentials are given with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    });
  }
  if (url.pathname !== '/') throw new SettingError('WALE_S3_ENDPOINT does not support a URI path', { hint });
  if (url.search !== '' || url.hash !== '') {
    throw new SettingError('WALE_S3_ENDPOINT does not support query parameters', { hint });
  }
  return url;
}
