#!/usr/bin/env bash
# Installs Debian's prometheus, which brings promtool, for the tests of the metrics, of ops/grafana.json and of ops/alerts.yml,
# when it is missing and this machine allows it. Starts nothing, and leaves no service that would start with the machine.
# Exits 0 in any case, and says so loudly when there is no prometheus.
set -u

have() { command -v prometheus >/dev/null && command -v promtool >/dev/null; }
missing() {
  printf '\n*** prometheus is not installed: %s.\n*** The tests with a real Prometheus will be SKIPPED.\n\n' "$1" >&2
  exit 0
}

PATH=$PATH:/usr/sbin:/sbin
have && exit 0
command -v apt-get >/dev/null || missing "there is no apt-get here; install prometheus and promtool by hand"

as_root=()
if [ "$(id -u)" != 0 ]; then
  sudo -n true 2>/dev/null || missing "that needs root; run: sudo apt-get install prometheus"
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
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=60 prometheus 2>&1
}
output=$(install) || output=$("${as_root[@]}" apt-get update -qq 2>&1 && install)
# The package enables its service. The tests start a prometheus of their own, and stop it.
if command -v systemctl >/dev/null; then "${as_root[@]}" systemctl disable --quiet --now prometheus 2>/dev/null; fi
have || missing "apt-get did not install it ($(tail -n 1 <<<"${output:-it is installed, and not to be found}"))"
