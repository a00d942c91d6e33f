/**
 * A host where WAL-E 1.1.1 archived until now: its golden archive in /srv/archive, the primary that this archive is of
 * (restored, and going on in timeline 2 where it ended), a standby that follows through `wal-fetch`, and in
 * /opt/wal-e-1.1.1 what stands for the original's program: lzop, as the original runs it on a file store.
 */
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const golden = fileURLToPath(new URL('../../fixtures/golden/seg1', import.meta.url));

/** Adds the program, and the command `prepare-original` for the first line of a page. */
export function addOriginal(folder: string): void {
  cpSync(golden, join(folder, 'home/golden'), { recursive: true });
  addScript(join(folder, 'opt/wal-e-1.1.1/bin/wal-e'), OLD_PROGRAM);
  addScript(join(folder, 'bin/prepare-original'), prepareOriginal(folder));
}

const OLD_PROGRAM = `store=\${WALE_FILE_PREFIX#file://localhost}
case $1 in
wal-push) exec lzop -c <"$2" >"$store/wal_005/$(basename "$2").lzo" ;;
wal-fetch) lzop -dc <"$store/wal_005/$2.lzo" >"$3" || { rm -f "$3"; exit 1; } ;;
esac`;

/** Where timeline 2 of the golden archive ends. */
const END = '0/F00000';

function prepareOriginal(folder: string): string {
  const servers = `${folder}/var/lib/postgresql/14`;
  const old = `envdir ${folder}/etc/wal-e.d/env ${folder}/opt/wal-e-1.1.1/bin/wal-e`;
  return `set -e
cp -r ${folder}/home/golden/archive ${folder}/srv/archive
echo file://localhost${folder}/srv/archive > ${folder}/etc/wal-e.d/env/WALE_FILE_PREFIX
mkdir ${folder}/srv/standby-socket
wal-e --envdir ${folder}/etc/wal-e.d/env --terse backup-fetch --tablespace 16384=${folder}/srv/ts_one ${servers}/main LATEST
cat > ${servers}/main/postgresql.conf <<END
${SETTINGS}
unix_socket_directories = '${folder}/run'
restore_command = '${old} wal-fetch %f %p'
recovery_target_timeline = 'latest'
END
echo 'local all all trust' > ${servers}/main/pg_hba.conf
: > ${servers}/main/pg_ident.conf
: > ${servers}/main/standby.signal
pg_ctl -D ${servers}/main -l ${folder}/var/log/postgresql/server.log -w start >/dev/null
until psql -Atc "SELECT pg_last_wal_replay_lsn() >= '${END}'" | grep -q t; do sleep 0.1; done
pg_ctl -D ${servers}/main -w stop >/dev/null
cp -r ${servers}/main ${servers}/standby
cp -r ${folder}/srv/ts_one ${folder}/srv/standby_ts_one
ln -sfn ${folder}/srv/standby_ts_one ${servers}/standby/pg_tblspc/16384
rm ${servers}/main/standby.signal
cat >> ${servers}/main/postgresql.conf <<END
archive_mode = on
archive_command = '${old} wal-push %p'
END
sed -i "s:^unix_socket.*:unix_socket_directories = '${folder}/srv/standby-socket':" ${servers}/standby/postgresql.conf
cat >> ${servers}/standby/postgresql.conf <<END
port = 5434
archive_mode = on
archive_command = 'envdir ${folder}/etc/wal-e.d/env wal-e wal-push %p'
END
pg_ctl -D ${servers}/main -l ${folder}/var/log/postgresql/server.log -w start >/dev/null
pg_ctl -D ${servers}/standby -l ${folder}/var/log/postgresql/standby.log -w start >/dev/null`;
}

/** The primary's own, as the README of the golden archive has them. */
const SETTINGS = `wal_level = replica
listen_addresses = ''
fsync = off
max_connections = 20
shared_buffers = 16MB
min_wal_size = 2MB
max_wal_size = 16MB
wal_retrieve_retry_interval = '200ms'
timezone = 'UTC'
log_timezone = 'UTC'`;

function addScript(path: string, body: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}
