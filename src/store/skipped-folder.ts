/** Which folder of a key is left out of a listing, for stores that know keys only. */

/** The topmost folder of `key` below `prefix` that is to be skipped, with its slash; undefined when there is none. */
export function skippedFolder(
  key: string,
  prefix: string,
  skip: (folder: string) => boolean,
): string | undefined {
  let slash = key.indexOf('/', prefix.lastIndexOf('/') + 1);
  for (; slash >= 0; slash = key.indexOf('/', slash + 1)) {
    const folder = key.slice(0, slash + 1);
    if (skip(folder)) return folder;
  }
  return undefined;
}
