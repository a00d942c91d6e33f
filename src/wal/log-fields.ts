/** Fields of the original's log lines. */

/** The path of the prefix as the original logs it: no leading slash, one trailing slash. */
export function pathPrefix(storeUrl: string): string {
  const path = storeUrl.replace(/^[a-z0-9]+:\/\/[^/]*\/?/, '');
  return path === '' ? '' : `${path}/`;
}
