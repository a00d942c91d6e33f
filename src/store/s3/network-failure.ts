/** Failures of the network and of TLS, told from the store's own answers. */
import { S3Error } from './failure.ts';

/** `what` is the request in words; `error` is what Node threw. */
export function unreachable(what: string, error: unknown): S3Error {
  if (error instanceof S3Error) return error;
  const code = codeOf(error);
  const certificate = CERTIFICATE.test(code ?? '');
  const protocol = code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER';
  return new S3Error(messageOf(code, certificate || protocol), {
    status: 0,
    code,
    detail: `${what}: ${reasonOf(error)}`,
    hint: certificate
      ? 'If the store has a certificate of your own authority, name its file in AWS_CA_BUNDLE.'
      : protocol
        ? 'Check the protocol (http or https) and the port in WALE_S3_ENDPOINT.'
        : REACH.has(code ?? '')
          ? 'Check WALE_S3_ENDPOINT, AWS_REGION, HTTPS_PROXY and the network.'
          : undefined,
    transient: !certificate && !protocol,
    cause: error,
  });
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS/;
const REACH = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']);

function messageOf(code: string | undefined, tls: boolean): string {
  if (tls) return 'no secure connection to the store';
  return REACH.has(code ?? '') ? 'the store cannot be reached' : 'the connection to the store broke';
}

/** What Node says of an address; of a name's several addresses none was reached, and the first tells why. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error && error.message !== '' ? error.message : String(codeOf(error) ?? error);
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

export function timedOut(what: string, doing: string, ms: number): S3Error {
  return new S3Error('the store does not answer', {
    status: 0,
    code: 'ETIMEDOUT',
    detail: `${what}: ${doing} for ${ms / 1000} s.`,
    hint: 'Check WALE_S3_ENDPOINT, HTTPS_PROXY and the network.',
    transient: true,
  });
}

export function tooSlow(what: string): S3Error {
  return new S3Error('the store answers too slowly to ever come to an end', {
    status: 0,
    code: 'ETIMEDOUT',
    detail: `${what}: the answer came by a few bytes at a time.`,
    hint: 'Check WALE_S3_ENDPOINT, HTTPS_PROXY and the network.',
    transient: true,
  });
}
