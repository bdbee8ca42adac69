# Brings a package of Debian that tests need, when it is missing and this machine allows it. Sourced by the scripts
# install-*.sh. They set `package`, `by_hand` (what to install without apt-get) and `untested` (what is lost without it),
# and define `have`, which tells whether it is there.
#
# No daemon is started. Where the package can't be had, stderr says so loudly, and the script exits with 0.
set -u
PATH=$PATH:/usr/sbin:/sbin

missing() {
  printf '\n*** %s is not installed: %s.\n*** %s\n\n' "$package" "$1" "$untested" >&2
  exit 0
}

have && exit 0
command -v apt-get >/dev/null || missing "there is no apt-get here; install $by_hand by hand"

as_root=()
if [ "$(id -u)" != 0 ]; then
  sudo -n true 2>/dev/null || missing "that needs root; run: sudo apt-get install $package"
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
    apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=60 "$package" 2>&1
}
output=$(install) || output=$("${as_root[@]}" apt-get update -qq 2>&1 && install)
have || missing "apt-get did not install it ($(tail -n 1 <<<"${output:-it is installed, and not to be found}"))"
