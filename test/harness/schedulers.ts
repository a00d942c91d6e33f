/**
 * What starts commands on a host when nobody is there, as the host's commands `run-crontab FILE` and `run-unit FILE`:
 * each line of the file as cron or systemd would run it, with their environment and nothing of the shell's. Only where
 * the server is must be said, since it is not where PostgreSQL's packages have it.
 */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFolder, stageProgram } from './staging.ts';

export function addSchedulers(folder: string): void {
  const installed = join(folder, 'usr/local/bin');
  mkdirSync(installed, { recursive: true });
  symlinkSync(stageProgram(), join(installed, 'wal-e'));
  symlinkSync(join(nodeFolder(), 'node'), join(installed, 'node'));
  add(folder, 'run-crontab', runCrontab(folder));
  add(folder, 'run-unit', runUnit(folder));
}

/** The server, which cron and systemd find at the places of PostgreSQL's packages. */
const SERVER = 'PGHOST="$PGHOST" PGUSER="$PGUSER" PGDATABASE="$PGDATABASE"';

/** crontab(5): variables, then five fields, the user, and the rest of the line for `sh -c`. Output goes to a mail. */
function runCrontab(folder: string): string {
  return `grep -E '^[0-9*@]' "$1" | while read -r minute hour day month weekday user command; do
  variables=$(grep -E '^[A-Z]+=' "$1")
  mail=$(cd ${folder}/home && env -i HOME=${folder}/home SHELL=/bin/sh LOGNAME="$user" $variables ${SERVER} /bin/sh -c "$command" 2>&1 </dev/null)
  status=$?
  [ $status = 0 ] && [ -z "$mail" ] || { echo "$command: status $status: $mail"; kill $$; }
done`;
}

/** systemd.exec(5): the PATH that is compiled in, and what User= gives. */
function runUnit(folder: string): string {
  return `command=$(sed -n 's/^ExecStart=//p' "$1" | sed -E 's#(^| )/(usr/local|etc|var/lib)/#\\1${folder}/\\2/#g')
success=$(sed -n 's/^SuccessExitStatus=//p' "$1")
cd / && env -i PATH=${folder}/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=${folder}/home USER=postgres LOGNAME=postgres \\
  INVOCATION_ID=0 ${SERVER} $command </dev/null
status=$?
[ $status = 0 ] || [ "$status" = "$success" ]`;
}

function add(folder: string, name: string, body: string): void {
  const path = join(folder, 'bin', name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}
