#!/usr/bin/env bash
# Installs Debian's chromium, firefox-esr and ip for the tests in browsers, those that are missing, when this machine
# allows it. Exits 0 in any case, and says so loudly when one is not there.
set -u

missing() {
  printf '\n*** not installed: %s: %s.\n*** Tests in browsers will be SKIPPED.\n\n' "$1" "$2" >&2
}

PATH=$PATH:/usr/sbin:/sbin
needed() {
  command -v chromium >/dev/null || command -v google-chrome >/dev/null || echo chromium
  command -v firefox-esr >/dev/null || command -v firefox >/dev/null || echo firefox-esr
  # It brings up loopback in the network of their own that these tests run in.
  command -v ip >/dev/null || echo iproute2
}

mapfile -t packages < <(needed)
[ ${#packages[@]} = 0 ] && exit 0
if ! command -v apt-get >/dev/null; then
  missing "${packages[*]}" "there is no apt-get here; install them by hand"
  exit 0
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    missing "${packages[*]}" "that needs root; run: sudo apt-get install ${packages[*]}"
    exit 0
  fi
  as_root=(sudo -n)
fi

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=60 "$1" 2>&1
}

# One by one, so that one that can't be had does not keep the other away.
updated=
for package in "${packages[@]}"; do
  output=$(install "$package") && continue
  if [ -z "$updated" ]; then
    updated=yes
    output=$("${as_root[@]}" apt-get update -qq 2>&1 && install "$package") && continue
  fi
  missing "$package" "apt-get did not install it ($(tail -n 1 <<<"$output"))"
done
exit 0
