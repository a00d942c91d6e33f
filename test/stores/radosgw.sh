#!/bin/bash
# Ceph RADOS Gateway on loopback, with one monitor and one store of its own, from Debian's packages (260 MB).
#
#     test/stores/radosgw.sh start FOLDER     prints the environment for wal-e; 77 when it cannot be had here
#     test/stores/radosgw.sh quota FOLDER BYTES   what all objects of the user may take from now on; -1 for no limit
#     test/stores/radosgw.sh stop FOLDER      ends what was started and removes FOLDER
set -euo pipefail
NAME=radosgw
STATE=$(realpath -m "${2:?usage: $0 start|stop FOLDER}")
. "$(dirname "$0")/daemons.sh"
DAEMONS=(rgw osd mon)
KEY=RGWTESTACCESSKEY0001 SECRET=rgwTestSecret/Key+0001abcdefghijklmnopqr BUCKET=wale-test
LIMITED_KEY=RGWTESTACCESSKEY0002
CONF=$STATE/ceph.conf

configure() {
  local monitor
  monitor=$(free_port)
  free_port >"$STATE/port"
  # Without cephx, the gateway must not insist on its built-in "secure" mode, or it never reaches the monitor.
  cat >"$CONF" <<C
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_host = v2:127.0.0.1:$monitor
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_bind_msgr1 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
run_dir = $STATE/run
admin_socket = $STATE/run/\$cluster-\$name.asok
log_file = $STATE/log/\$name.log
log_to_stderr = false
mon_cluster_log_file = $STATE/log/cluster.log
crash_dir = $STATE/log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
osd_crush_chooseleaf_type = 0
mon_warn_on_pool_no_redundancy = false
paxos_propose_interval = 0.05
[mon]
mon_data = $STATE/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 2
[osd]
osd_data = $STATE/osd
osd_objectstore = bluestore
bluestore_block_size = 10737418240
bluestore_fsck_on_mount = false
osd_memory_target = 1073741824
osd_class_load_list = *
osd_class_default_list = *
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$(cat "$STATE/port") tcp_nodelay=1
rgw_data = $STATE/run
rgw_enable_usage_log = false
rgw_enable_quota_threads = false
rgw_dynamic_resharding = false
rgw_run_sync_thread = false
rgw_enable_ops_log = false
C
}

ceph_do() { ceph -c "$CONF" --connect-timeout 10 "$@"; }
osd_is_up() { ceph_do osd stat 2>/dev/null | grep -q '1 up'; }

start() {
  need radosgw radosgw
  need ceph-mon ceph-mon
  need ceph-osd ceph-osd
  need ceph ceph-common
  need python3 python3
  mkdir -p "$STATE"/{log,run,mon,osd}
  [ -f "$CONF" ] || configure
  if [ ! -e "$STATE/mon.made" ]; then
    local monitor
    monitor=$(sed -n 's/^mon_host = //p' "$CONF")
    monmaptool --create --clobber --fsid "$(sed -n 's/^fsid = //p' "$CONF")" --addv a "[$monitor]" "$STATE/monmap" >&2
    ceph-mon -c "$CONF" --mkfs -i a --monmap "$STATE/monmap" >>"$STATE/log/mon.out" 2>&1 || fail 'ceph-mon --mkfs failed'
    touch "$STATE/mon.made"
  fi
  daemon mon ceph-mon -c "$CONF" -i a -f
  await mon ceph_do mon stat
  if [ ! -e "$STATE/osd.made" ]; then
    local uuid
    uuid=$(cat /proc/sys/kernel/random/uuid)
    ceph_do osd new "$uuid" 0 >/dev/null || fail 'osd new failed'
    ceph-osd -c "$CONF" -i 0 --mkfs --osd-uuid "$uuid" >>"$STATE/log/osd.out" 2>&1 || fail 'ceph-osd --mkfs failed'
    touch "$STATE/osd.made"
  fi
  daemon osd ceph-osd -c "$CONF" -i 0 -f
  await osd osd_is_up
  if [ ! -e "$STATE/user.made" ]; then
    radosgw-admin -c "$CONF" -n client.rgw user create --uid=test --display-name=test \
      --access-key="$KEY" --secret-key="$SECRET" >"$STATE/log/user.out" 2>&1 || fail 'user create failed'
    # Somebody who may do nothing until he is given a policy, and the right to give it.
    radosgw-admin -c "$CONF" -n client.rgw user create --uid=limited --display-name=limited \
      --access-key="$LIMITED_KEY" --secret-key="$SECRET" >>"$STATE/log/user.out" 2>&1 || fail 'user create failed'
    radosgw-admin -c "$CONF" -n client.rgw caps add --uid=test --caps='user-policy=*' >>"$STATE/log/user.out" 2>&1 || fail 'caps add failed'
    touch "$STATE/user.made"
  fi
  daemon rgw radosgw -c "$CONF" -n client.rgw -f
  local port
  port=$(cat "$STATE/port")
  await rgw port_open "$port"
  await rgw put_bucket "$port" "$KEY" "$SECRET" "$BUCKET"
  settings "$port" "$KEY" "$SECRET" "$BUCKET"
  echo "LIMITED_ACCESS_KEY_ID=$LIMITED_KEY"
}

quota() { # BYTES
  local verb
  for verb in "set --max-size=$1" enable; do
    # shellcheck disable=SC2086
    radosgw-admin -c "$CONF" -n client.rgw quota $verb --quota-scope=user --uid=test >>"$STATE/log/user.out" 2>&1 ||
      fail 'quota failed'
  done
}

case "$1" in
  start) start ;;
  quota) quota "$3" ;;
  stop) stop_all "${DAEMONS[@]}" ;;
  *) fail "usage: $0 start|stop FOLDER, or quota FOLDER BYTES" ;;
esac
