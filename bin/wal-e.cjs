#!/bin/sh
':' /*
# Node forgets at its start which signals it was told to ignore, and so would die of the hangup that nohup is there to
# keep away. The shell still knows; it hands the mask on and becomes the program, which is this very file. PostgreSQL
# starts its commands in the data directory, with no signal ignored, and waits for them: reading costs, once a segment.
status=/proc/self/status
case " $* " in *' wal-push '* | *' wal-fetch '*) test -e PG_VERSION && status=/dev/null ;; esac
while read -r name mask; do
  case $name in SigIgn:) export "WALE_IGNORED_SIGNALS=$mask"; break ;; esac
done 2>/dev/null <$status
# PostgreSQL takes 1 to 125 of a restore_command for the end of the WAL, and Node ends with 9 when it does not know an
# option in NODE_OPTIONS: 126 stops the recovery instead. A standby asks again after 1. Above 125 its archiver would end.
cannot_start() {
  case " $* " in *' wal-fetch '*) ;; *) exit 1 ;; esac
  case ${WALE_FETCH_ERROR_EXIT-} in
    [1-9] | [1-9][0-9] | 1[0-9][0-9] | 2[0-4][0-9] | 25[0-5]) exit "$WALE_FETCH_ERROR_EXIT" ;;
  esac
  for last; do :; done
  last=${last%/*}
  for folder in . "${last%/*}"; do
    test -e "$folder/standby.signal" && exit 1
    test -e "$folder/recovery.signal" && exit 126
    # The last line counts.
    grep -is '^[[:space:]]*standby_mode' "$folder/recovery.conf" | tail -n 1 | grep -qi "mode[[:space:]=]*'*\(on\|1\|t\|y\)" && exit 1
  done
  exit 126
}
command -v node >/dev/null || { echo 'wal-e: there is no node in PATH' >&2; cannot_start "$@"; }
case ${NODE_OPTIONS:+" $* "} in *' wal-fetch '*) node -e 0 || cannot_start "$@" ;; esac
exec node "$0" "$@"
*/;

const { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, realpathSync, statSync } = require('node:fs');
const { Script } = require('node:vm');

// Not required: node:module brings the loader of ES modules along.
const Module = module.constructor;

/** What main.cjs loads through us. */
const CACHED = new Set(['./s3.cjs']);
/** The first line of such a file: a comment with a hash of the rest. */
const ID_BYTES = 67;
/** Of either copy, many times what it has: no memory is spent on a file that is something else. */
const MOST_CACHE_BYTES = 16 * 1024 * 1024;

try {
  load(`${findFolder()}/main.cjs`);
} catch (error) {
  // Node's own status for this is 1, which PostgreSQL takes of a restore_command for the end of the WAL.
  console.error(error);
  process.exit(process.argv.includes('wal-fetch') ? brokenFetchStatus(process.env) : 2);
}

/** dist/ by its real name, as Node's own loader would find it. */
function findFolder() {
  try {
    return realpathSync.native(`${__dirname}/../dist`);
  } catch {
    // Node knows a linked program by its own name, except with --preserve-symlinks-main.
    const program = realpathSync.native(__filename);
    return realpathSync.native(`${program.slice(0, program.lastIndexOf('/'))}/../dist`);
  }
}

/**
 * Loads a file of dist/ from V8's code cache where there is one for this Node and this very build; compiling it anew takes
 * several milliseconds more. The cache lies beside the file; whoever may write there and finds none makes it.
 */
function load(path) {
  const known = require.cache[path];
  if (known !== undefined) return known.exports;
  const folder = path.slice(0, path.lastIndexOf('/'));
  const cachePath = `${path.slice(0, -4)}-${process.version}-${process.arch}.cache`;
  const bytes = readWhole(path);
  const source = bytes.latin1Slice(0, bytes.length);
  const id = source.slice(0, ID_BYTES);
  const wrapped = `(function(exports,require,module,__filename,__dirname){${source}\n})`;
  const cachedData = readCache(cachePath, id, path);
  let script = cachedData === undefined ? undefined : new Script(wrapped, { filename: path, cachedData });
  if (script === undefined || (script.cachedDataRejected && hasUsualFlags()))
    script = require(`${folder}/../bin/code-cache.cjs`).makeCache({ path, wrapped, cachePath, id });
  // As Node's own loader would do it: other files of the program ask for main.cjs and must get this one.
  const loaded = new Module(path, module);
  loaded.filename = path;
  require.cache[path] = loaded;
  const requireHere = (name) => (CACHED.has(name) ? load(`${folder}/${name.slice(2)}`) : loaded.require(name));
  script.runInThisContext()(loaded.exports, requireHere, loaded, path, folder);
  loaded.loaded = true;
  return loaded.exports;
}

/** A cache holds for V8's flags as they were when it was made: those of most starts are the ones to make it for. */
function hasUsualFlags() {
  return process.execArgv.length === 0 && !process.env.NODE_OPTIONS;
}

/**
 * The file holds the id and the cache, twice: V8 compares versions and flags but not the bytes, and dies of damaged
 * ones; two copies are compared more quickly than any checksum is computed.
 */
function readCache(path, id, program) {
  let descriptor;
  try {
    descriptor = openSync(path);
    const stat = fstatSync(descriptor);
    const half = (stat.size - ID_BYTES) / 2;
    if (!isTrusted(stat, program)) return undefined;
    if (!Number.isInteger(half) || half <= 0 || half > MOST_CACHE_BYTES) return undefined;
    const bytes = read(descriptor, ID_BYTES + half);
    const first = bytes.subarray(ID_BYTES);
    return bytes.latin1Slice(0, ID_BYTES) === id && isNext(descriptor, first) ? first : undefined;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Whether these bytes come next; read in pieces, since fresh memory for all of them costs more than reading them. */
function isNext(descriptor, expected) {
  const piece = Buffer.allocUnsafeSlow(65536);
  for (let at = 0; at < expected.length; at += piece.length) {
    const wanted = Math.min(piece.length, expected.length - at);
    if (readSync(descriptor, piece, 0, wanted) !== wanted) return false;
    if (piece.compare(expected, at, at + wanted, 0, wanted) !== 0) return false;
  }
  return true;
}

/** The cache is code: nobody may have written it who could not have written the program, or be us. */
function isTrusted({ uid, mode }, program) {
  return (mode & 0o022) === 0 && (uid === 0 || uid === process.geteuid() || uid === statSync(program).uid);
}

function readWhole(path) {
  const descriptor = openSync(path);
  try {
    return read(descriptor, fstatSync(descriptor).size);
  } finally {
    closeSync(descriptor);
  }
}

function read(descriptor, length) {
  const bytes = Buffer.allocUnsafeSlow(length);
  if (readSync(descriptor, bytes) !== length) throw new Error('not read whole');
  return bytes;
}

/** The rules of src/wal/fetch-failure.ts without the program. What cannot be told must not end a recovery. */
function brokenFetchStatus({ WALE_FETCH_ERROR_EXIT: override = '' }) {
  if (/^\d{1,3}$/.test(override) && override >= 1 && override <= 255) return Number(override);
  const { dirname } = require('node:path');
  return ['.', dirname(dirname(process.argv.at(-1)))].some(isStandby) ? 1 : 200;
}

function isStandby(folder) {
  if (existsSync(`${folder}/standby.signal`)) return true;
  if (existsSync(`${folder}/recovery.signal`)) return false;
  try {
    const lines = readFileSync(`${folder}/recovery.conf`, 'utf8').split('\n');
    const last = lines.filter((line) => /^\s*standby_mode/i.test(line)).pop() ?? '';
    return /mode[\s=]*'?(on|1|t|tr|tru|true|y|ye|yes)\b/i.test(last);
  } catch {
    return false;
  }
}
