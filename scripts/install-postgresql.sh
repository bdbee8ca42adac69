#!/usr/bin/env bash
# Installs Debian's PostgreSQL for the tests of a cluster, when it is missing and this machine allows it. Starts nothing
# and keeps no database: the tests start a server of their own. Exits 0 in any case, and says so loudly when there is none.
set -u

have() { command -v initdb >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; }
missing() {
  printf '\n*** PostgreSQL is not installed: %s.\n*** The tests of a cluster with real storage are NOT TESTED.\n\n' "$1" >&2
  exit 0
}

have && exit 0
command -v apt-get >/dev/null || missing "there is no apt-get here; install postgresql by hand"

as_root=()
if [ "$(id -u)" != 0 ]; then
  sudo -n true 2>/dev/null || missing "that needs root; run: sudo apt-get install postgresql"
  as_root=(sudo -n)
fi

# Packages may start their daemons when they are installed, unless this answers 101.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=60 postgresql 2>&1
}
output=$(install) || output=$("${as_root[@]}" apt-get update -qq 2>&1 && install)
have || missing "apt-get did not install it ($(tail -n 1 <<<"${output:-it is installed, and not to be found}"))"
