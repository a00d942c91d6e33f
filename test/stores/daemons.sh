# Shared by the scripts that start production stores on loopback. Sourced, with STATE set to the store's own folder.
# Everything is found again by its pid file there, and only processes that name STATE on their command line are touched.

say() { echo "$NAME: $*" >&2; }

fail() {
  say "$*"
  tail -n 15 "$STATE"/log/*.out >&2 2>/dev/null || true
  exit 1
}

# Ends with status 77 (skip) where the store cannot be had: not Debian, not root, no packages.
skip() { say "skipped: $*"; exit 77; }

# need COMMAND PACKAGE...: installs packages whose command is missing, without letting them start services.
need() {
  local command=$1; shift
  command -v "$command" >/dev/null && return 0
  [ "$(id -u)" = 0 ] || skip "$command is not installed, and only root can install it"
  command -v apt-get >/dev/null || skip "$command is not installed, and there is no apt-get"
  say "installing $*"
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; made=1; fi
  local status=0
  { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; }; } >&2 || status=$?
  [ -z "$made" ] || rm -f "$policy"
  [ "$status" = 0 ] || skip "apt-get could not install $*"
}

# Just forked, a daemon still has the command line of this script, which names STATE too.
alive() {
  local pid
  pid=$(cat "$STATE/run/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$STATE"
}

# daemon NAME COMMAND...: starts it unless it runs.
daemon() {
  local name=$1; shift
  alive "$name" && return 0
  setsid "$@" >>"$STATE/log/$name.out" 2>&1 </dev/null &
  echo $! >"$STATE/run/$name.pid"
}

# await NAME COMMAND...: until the command succeeds; gives up when the daemon dies, or after two minutes.
await() {
  local name=$1 end=$((SECONDS + 120)); shift
  until "$@" >/dev/null 2>&1; do
    alive "$name" || fail "$name died"
    [ $SECONDS -lt $end ] || fail "gave up waiting for $name: $*"
    sleep 0.1
  done
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port that nobody listens on, from the ones given to nobody.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    port_open "$port" || { echo "$port"; return; }
  done
}

# stop_all NAME...: ends the daemons in that order, and removes the state.
stop_all() {
  local name pid
  for name; do
    alive "$name" || continue
    pid=$(cat "$STATE/run/$name.pid")
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 100); do alive "$name" || break; sleep 0.1; done
    if alive "$name"; then kill -KILL "$pid" 2>/dev/null || true; fi
  done
  rm -rf -- "$STATE"
}

# put_bucket PORT KEY SECRET BUCKET: what wal-e does not do itself (Signature V2: no packages needed).
put_bucket() {
  /usr/bin/python3 - "$@" <<'P'
import base64, email.utils, hashlib, hmac, http.client, sys
port, key, secret, bucket = sys.argv[1:]
date = email.utils.formatdate(usegmt=True)
text = "PUT\n\n\n%s\n/%s" % (date, bucket)
signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)
headers = {"Date": date, "Authorization": "AWS %s:%s" % (key, signature), "Content-Length": "0"}
connection.request("PUT", "/" + bucket, headers=headers)
sys.exit(0 if connection.getresponse().status in (200, 409) else 1)
P
}

# settings PORT KEY SECRET BUCKET: the environment for wal-e, on standard output.
settings() {
  printf 'WALE_S3_ENDPOINT=http+path://127.0.0.1:%s\nAWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_REGION=us-east-1\nWALE_S3_PREFIX=s3://%s/wal-e\n' "$@"
}
