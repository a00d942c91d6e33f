// Loaded with --require: the call of node:fs that HANG_CALL names really hangs in a thread, until somebody opens the
// named pipe HANG_PIPE for reading. Nothing hangs where there is no such pipe.
'use strict';
const fs = require('node:fs');

const { open, openSync, close, closeSync, existsSync } = fs;
const { HANG_CALL: name, HANG_PIPE: pipe } = process.env;
const original = fs[name];

function hanging(...args) {
  if (name.endsWith('Sync')) {
    if (existsSync(pipe)) closeSync(openSync(pipe, 'w'));
    return original(...args);
  }
  const done = args.pop();
  if (!existsSync(pipe)) return original(...args, done);
  open(pipe, 'w', (_, descriptor) => close(descriptor, () => original(...args, done)));
}

// What util.promisify makes of it depends on them.
for (const symbol of Object.getOwnPropertySymbols(original)) hanging[symbol] = original[symbol];
fs[name] = hanging;
