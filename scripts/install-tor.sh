#!/usr/bin/env bash
# Installs Debian's tor for the tests over a private Tor network, when it is missing and this machine allows it. Starts nothing:
# a tor daemon of the system would talk to the real network. Exits 0 in any case, and says so loudly when there is no tor.
set -u

have() { command -v tor >/dev/null && command -v tor-gencert >/dev/null; }
missing() {
  printf '\n*** tor is not installed: %s.\n*** The tests over a private Tor network will be SKIPPED.\n\n' "$1" >&2
  exit 0
}

PATH=$PATH:/usr/sbin:/sbin
have && exit 0
command -v apt-get >/dev/null || missing "there is no apt-get here; install tor by hand"

as_root=()
if [ "$(id -u)" != 0 ]; then
  sudo -n true 2>/dev/null || missing "that needs root; run: sudo apt-get install tor"
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
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=60 tor 2>&1
}
output=$(install) || output=$("${as_root[@]}" apt-get update -qq 2>&1 && install)
have || missing "apt-get did not install it ($(tail -n 1 <<<"${output:-it is installed, and not to be found}"))"
