/** HTTPS_PROXY and NO_PROXY, in upper or lower case, as curl and the AWS tools read them. */
import { SettingError } from '../errors.ts';
import type { Environment } from './settings.ts';

/** The proxy for https to that host, as a URL that may carry user and password; undefined for none. */
export function readProxy(
  environment: Environment,
  { host, port }: { host: string; port: number },
): string | undefined {
  const proxy = (environment.HTTPS_PROXY ?? environment.https_proxy ?? '').trim();
  if (proxy === '' || isExcepted(environment.NO_PROXY ?? environment.no_proxy ?? '', host, port))
    return undefined;
  const url = /^[a-z]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
  if (/^https?:/i.test(url) && URL.canParse(url)) return url;
  throw new SettingError('HTTPS_PROXY is not the address of a proxy', {
    hint: 'Set the environment variable HTTPS_PROXY in the form "http://host:port", or unset it.',
  });
}

/** Each entry is a host or a domain, with or without a leading dot or a port; `*` is all. */
function isExcepted(list: string, host: string, port: number): boolean {
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const [, name = '', only] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
      if (only !== undefined && Number(only) !== port) return false;
      return entry === '*' || host === name || (name !== '' && host.endsWith(`.${name}`));
    });
}
