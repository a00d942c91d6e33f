// Preloaded (node -r) into a process of the program: writes what it required, and the modules of Node that this brought
// in, and how many timers it waited for, as JSON to file descriptor 3 when it ends.
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
let expired = 0;
const set = setTimeout;
globalThis.setTimeout = (callback, ...rest) => {
  const counted = (...words) => {
    expired += 1;
    callback(...words);
  };
  return set(counted, ...rest);
};
process.on('exit', () => {
  const internal = process.moduleLoadList.filter((name) => !before.has(name));
  const files = Object.keys(require.cache);
  writeSync(3, JSON.stringify({ required: [...required], internal, files, expired }));
});
