// Loaded with --require: the process is killed by SIGKILL when one of its threads makes call number KILL_AT of node:fs's
// KILL_CALL (a synchronous one), however fast or slow the machine is.
'use strict';
const fs = require('node:fs');

const { KILL_CALL: name, KILL_AT: last } = process.env;
const original = fs[name];
let calls = 0;

fs[name] = (...args) => {
  calls += 1;
  if (calls === Number(last)) process.kill(process.pid, 'SIGKILL');
  return original(...args);
};
