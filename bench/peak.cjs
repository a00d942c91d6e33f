// Preloaded (node -r): the most memory that the process had, in KiB, to file descriptor 3 when it ends. Not getrusage's
// figure, in which the kernel counts what the parent had before exec.
'use strict';
process.on('exit', () => {
  const { readFileSync, writeSync } = require('node:fs');
  writeSync(3, /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]);
});
