// Makes the code cache that wal-e.cjs reads. Nothing here may keep the program from starting.
'use strict';
const { accessSync, chmodSync, constants, renameSync, rmSync, statSync, writeFileSync } = require('node:fs');
const { dirname } = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

/** Compiles `wrapped`, the source of `path`, and writes the cache where that is allowed. Returns the script. */
exports.makeCache = ({ path, wrapped, cachePath, id }) => {
  if (!isWritable(dirname(cachePath))) return new Script(wrapped, { filename: path });
  // All functions, not only those that run at once. The cache holds for processes with V8's flags as they were.
  setFlagsFromString('--no-lazy');
  const script = new Script(wrapped, { filename: path });
  setFlagsFromString('--lazy');
  write(cachePath, [Buffer.from(id, 'latin1'), script.createCachedData()], statSync(path).mode);
  return script;
};

function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Appears whole or not at all. Who may run the program may read its cache, whatever the umask; only its owner may write. */
function write(path, [id, cache], mode) {
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, Buffer.concat([id, cache, cache]), { flag: 'wx' });
    chmodSync(temporary, mode & 0o644);
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true });
  }
}
