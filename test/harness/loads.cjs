// Preloaded (node -r) into a process of the program: writes what it required, and the modules of Node that this brought
// in, as JSON to file descriptor 3 when it ends.
'use strict';
const Module = require('node:module');
const { writeSync } = require('node:fs');

const before = new Set(process.moduleLoadList);
const required = new Set();
const load = Module._load;
Module._load = function (request, ...rest) {
  required.add(request);
  return load.call(this, request, ...rest);
};
process.on('exit', () => {
  const internal = process.moduleLoadList.filter((name) => !before.has(name));
  const files = Object.keys(require.cache);
  writeSync(3, JSON.stringify({ required: [...required], internal, files }));
});
