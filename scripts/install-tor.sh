#!/usr/bin/env bash
# Installs tor for the test of `onion`, where it is missing and can be. Never fails: that test says so loudly when there is none.
set -u
command -v tor >/dev/null && command -v tor-gencert >/dev/null && exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends tor; } >/dev/null 2>&1
fi
command -v tor >/dev/null || echo "install-tor: tor could not be installed; onion will not be tested against a real Tor" >&2
exit 0
