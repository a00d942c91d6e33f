// Preloaded (node -r): the most memory that the process had, in KiB, to file descriptor 3 when it ends.
'use strict';
process.on('exit', () => require('node:fs').writeSync(3, String(process.resourceUsage().maxRSS)));
