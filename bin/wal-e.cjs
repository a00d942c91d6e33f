#!/bin/sh
':' /*
# Node forgets at its start which signals it was told to ignore, and so would die of the hangup that nohup is there to
# keep away. The shell still knows; it hands the mask on and becomes the program, which is this very file.
while read -r name mask; do
  case $name in SigIgn:) export "WALE_IGNORED_SIGNALS=$mask"; break ;; esac
done 2>/dev/null </proc/self/status
exec node "$0" "$@"
*/;
try {
  require('../dist/main.cjs');
} catch (error) {
  // Node's own status for this is 1, which PostgreSQL takes of a restore_command for the end of the WAL.
  console.error(error);
  const { existsSync } = require('node:fs');
  const recovers = existsSync('recovery.signal') || existsSync('recovery.conf');
  process.exit(process.argv.includes('wal-fetch') && recovers ? 200 : 2);
}
