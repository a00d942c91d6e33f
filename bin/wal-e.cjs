#!/bin/sh
':' /*
# Node forgets at its start which signals it was told to ignore, and so would die of the hangup that nohup is there to
# keep away. The shell still knows; it hands the mask on and becomes the program, which is this very file.
while read -r name mask; do
  case $name in SigIgn:) export "WALE_IGNORED_SIGNALS=$mask"; break ;; esac
done 2>/dev/null </proc/self/status
# Node ends with 9 when it does not know an option in NODE_OPTIONS, which PostgreSQL takes of a restore_command for the
# end of the WAL; 126 stops the recovery instead.
case ${NODE_OPTIONS:+" $* "} in *' wal-fetch '*) node -e 0 || exit 126 ;; esac
exec node "$0" "$@"
*/;

const { existsSync, readFileSync } = require('node:fs');
const Module = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');

/** What main.cjs loads through us. */
const CACHED = new Set(['./wal.cjs', './s3.cjs']);
/** The first line of such a file: a comment with a hash of the rest. */
const ID_BYTES = 67;

try {
  start();
} catch (error) {
  // Node's own status for this is 1, which PostgreSQL takes of a restore_command for the end of the WAL.
  console.error(error);
  const recovers = existsSync('recovery.signal') || existsSync('recovery.conf');
  process.exit(process.argv.includes('wal-fetch') && recovers ? 200 : 2);
}

function start() {
  const main = require.resolve('../dist/main.cjs');
  const requireInDist = Module.createRequire(main);
  load(main, (name) => (CACHED.has(name) ? load(join(dirname(main), name), requireInDist) : requireInDist(name)));
}

/**
 * Loads a file of dist/ from V8's code cache where there is one for this Node and this very build; compiling it anew takes
 * several milliseconds more. The cache lies beside the file; whoever may write there and finds none makes it.
 */
function load(path, requireThere) {
  const known = require.cache[path];
  if (known !== undefined) return known.exports;
  const cachePath = `${path.slice(0, -4)}-${process.version}-${process.arch}.cache`;
  const source = readFileSync(path, 'latin1');
  const id = source.slice(0, ID_BYTES);
  const wrapped = `(function(exports,require,module,__filename,__dirname){${source}\n})`;
  const cachedData = readCache(cachePath, id);
  const script =
    cachedData === undefined
      ? require('./code-cache.cjs').makeCache({ path, wrapped, cachePath, id })
      : new Script(wrapped, { filename: path, cachedData });
  // As Node's own loader would do it: other files of the program ask for main.cjs and must get this one.
  const loaded = new Module(path, module);
  loaded.filename = path;
  require.cache[path] = loaded;
  script.runInThisContext()(loaded.exports, requireThere, loaded, path, dirname(path));
  loaded.loaded = true;
  return loaded.exports;
}

/**
 * The file holds the id and the cache, twice: V8 compares versions and flags but not the bytes, and dies of damaged
 * ones; two copies are compared more quickly than any checksum is computed.
 */
function readCache(path, id) {
  let bytes;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  const half = (bytes.length - ID_BYTES) / 2;
  if (!Number.isInteger(half) || half <= 0 || bytes.latin1Slice(0, ID_BYTES) !== id) return undefined;
  const first = bytes.subarray(ID_BYTES, ID_BYTES + half);
  return first.equals(bytes.subarray(ID_BYTES + half)) ? first : undefined;
}
