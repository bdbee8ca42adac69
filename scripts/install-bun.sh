#!/usr/bin/env bash
# Prints the path of a Bun, for the tests of what runs under it. When there is none, npm brings one into the user's cache: nothing of it
# is in the project. Exits 0 in any case; prints nothing, and says so loudly, when there is no Bun.
set -u

# Tests are written against this one. Another one that is installed is not asked.
version=1.4.5
dir=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/effect-multiserver/bun-$version

binary() {
  local found
  for found in "$1"/node_modules/@oven/bun-*/bin/bun; do
    # Some packages are for processors or C libraries that this machine hasn't.
    if "$found" --version >/dev/null 2>&1; then
      echo "$found"
      return 0
    fi
  done
  return 1
}

binary "$dir" && exit 0
mkdir -p "$(dirname "$dir")"
fresh=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
# The packages hold the binaries; scripts are not needed, and not run.
output=$(cd "$fresh" && echo '{"private":true}' >package.json &&
  npm install --ignore-scripts --no-audit --no-fund --no-package-lock "bun@$version" 2>&1)
# Somebody else may have been faster.
if binary "$fresh" >/dev/null && [ ! -e "$dir" ]; then mv "$fresh" "$dir"; fi
binary "$dir" && exit 0
printf '\n*** There is no Bun %s: npm could not bring it (%s).\n*** The tests under Bun will be SKIPPED.\n\n' \
  "$version" "$(tail -n 1 <<<"${output:-}")" >&2
exit 0
