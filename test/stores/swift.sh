#!/bin/bash
# OpenStack Swift with its S3 interface on loopback, all in one, from Debian's packages (46 MB).
#
#     test/stores/swift.sh start FOLDER     prints the environment for wal-e; 77 when it cannot be had here
#     test/stores/swift.sh quota FOLDER BYTES   what all objects of the bucket may take from now on; -1 for no limit
#     test/stores/swift.sh stop FOLDER      ends what was started and removes FOLDER
#
# FOLDER must be on a file system with user attributes (ext4, xfs).
set -euo pipefail
NAME=swift
STATE=$(realpath -m "${2:?usage: $0 start|stop FOLDER}")
. "$(dirname "$0")/daemons.sh"
DAEMONS=(proxy object container account memcached)
SECRET=swiftTestSecret0001 BUCKET=wale-test

write_server() { # KIND PORT
  cat >"$1-server.conf" <<C
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $2
workers = 0
user = $(id -un)
swift_dir = $STATE/conf
devices = $STATE/disks
mount_check = false
fallocate_reserve = 0
log_name = $1-server
container_update_timeout = 30
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
C
}

write_proxy() {
  local filter
  cat >proxy-server.conf <<C
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $(cat "$STATE/proxy.port")
workers = 0
user = $(id -un)
swift_dir = $STATE/conf
log_name = proxy-server
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy container_quotas slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
node_timeout = 60
recoverable_node_timeout = 60
conn_timeout = 5
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
max_bucket_listing = 1000
max_multi_delete_objects = 1000
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = $SECRET .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$(cat "$STATE/memcached.port")
C
  for filter in catch_errors gatekeeper listing_formats bulk copy container_quotas slo dlo versioned_writes symlink; do
    printf '[filter:%s]\nuse = egg:swift#%s\n' "$filter" "$filter" >>proxy-server.conf
  done
}

configure() {
  mkdir -p "$STATE"/{conf,disks/d1}
  /usr/bin/python3 -c 'import os,sys; os.setxattr(sys.argv[1], "user.swift", b"x")' "$STATE/disks/d1" ||
    skip "no user attributes on the file system of $STATE"
  local kind
  for kind in proxy memcached object container account; do free_port >"$STATE/$kind.port"; done
  cd "$STATE/conf"
  cat >swift.conf <<C
[swift-hash]
swift_hash_path_suffix = $(cat /proc/sys/kernel/random/uuid)
[storage-policy:0]
name = Policy-0
default = yes
C
  for kind in object container account; do
    swift-ring-builder "$kind.builder" create 6 1 1 >/dev/null
    swift-ring-builder "$kind.builder" add "r1z1-127.0.0.1:$(cat "$STATE/$kind.port")/d1" 1 >/dev/null
    # 1 is a warning: there is one device only.
    swift-ring-builder "$kind.builder" rebalance >/dev/null || [ $? = 1 ]
    write_server "$kind" "$(cat "$STATE/$kind.port")"
  done
  write_proxy
  cd - >/dev/null
  touch "$STATE/configured"
}

start() {
  need swift-proxy-server swift-proxy python3-swift
  need swift-account-server swift-account
  need swift-container-server swift-container
  need swift-object-server swift-object
  need swift-ring-builder swift
  need memcached memcached
  mkdir -p "$STATE"/{log,run}
  [ -e "$STATE/configured" ] || configure
  daemon memcached memcached -u "$(id -un)" -l 127.0.0.1 -p "$(cat "$STATE/memcached.port")" -U 0 -m 64 -P "$STATE/run/memcached.own"
  local kind
  for kind in account container object proxy; do daemon "$kind" "swift-$kind-server" "$STATE/conf/$kind-server.conf"; done
  for kind in memcached account container object proxy; do await "$kind" port_open "$(cat "$STATE/$kind.port")"; done
  local port
  port=$(cat "$STATE/proxy.port")
  await proxy put_bucket "$port" test:tester "$SECRET" "$BUCKET"
  settings "$port" test:tester "$SECRET" "$BUCKET"
}

# By Swift's own interface.
quota() { # BYTES
  /usr/bin/python3 - "$(cat "$STATE/proxy.port")" test:tester "$SECRET" "$BUCKET" "$1" <<'P'
import http.client, sys
from urllib.parse import urlsplit
port, user, key, bucket, quota = sys.argv[1:]
def ask(method, path, headers):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    if answer.status >= 300: sys.exit("%s %s: %d" % (method, path, answer.status))
    return answer
found = ask("GET", "/auth/v1.0", {"X-Auth-User": user, "X-Auth-Key": key})
path = urlsplit(found.getheader("X-Storage-Url")).path + "/" + bucket
headers = {"X-Auth-Token": found.getheader("X-Auth-Token"), "Content-Length": "0"}
ask("POST", path, {**headers, "X-Container-Meta-Quota-Bytes": "" if quota == "-1" else quota})
P
}

case "$1" in
  start) start ;;
  quota) quota "$3" ;;
  stop) stop_all "${DAEMONS[@]}" ;;
  *) fail "usage: $0 start|stop FOLDER, or quota FOLDER BYTES" ;;
esac
