#!/usr/bin/env bash
# install-runtimes.sh NAME...  prints a line for each runtime: its name, a tab, and the path of its binary. npm brings a
# runtime at its first use, into node_modules/.cache. Exits 0 in any case. A runtime that can't be had has no line, and
# stderr says so loudly.
set -u
cd "$(dirname "$0")/.."

# The npm package of a runtime. node20 is the lowest Node that package.json promises. Of the others it is the latest.
# Deno and Bun are those that the tests are written against.
package() {
  case $1 in
  node20) echo "$(node_package)@20.19.0" ;;
  node22 | node24 | node26) echo "$(node_package)@${1#node}" ;;
  deno) echo deno@2.9.6 ;;
  bun) echo bun@1.4.5 ;;
  *) echo "no runtime $1: there are node20, node22, node24, node26, deno and bun" >&2 && return 1 ;;
  esac
}

# The packages from which npm's `node` takes its binaries.
node_package() {
  node -p '`${process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node"}-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`'
}

binary() {
  local found
  for found in "$1"/node_modules/node-*/bin/node "$1"/node_modules/@deno/*/deno "$1"/node_modules/@oven/bun-*/bin/bun; do
    # Some packages are for processors or C libraries that this machine hasn't.
    if "$found" --version >/dev/null 2>&1; then
      echo "$found"
      return 0
    fi
  done
  return 1
}

for name in "$@"; do
  package=$(package "$name") || continue
  dir=$PWD/node_modules/.cache/runtimes/${package%@*}-${package##*@}
  if ! binary "$dir" >/dev/null; then
    rm -rf "$dir"
    mkdir -p "$(dirname "$dir")"
    fresh=$(mktemp -d "$dir.XXXXXX")
    # The packages hold the binaries; scripts are not needed, and not run.
    output=$(cd "$fresh" && echo '{"private":true}' >package.json &&
      npm install --ignore-scripts --no-audit --no-fund --no-package-lock "$package" 2>&1)
    # Somebody else may have been faster.
    if binary "$fresh" >/dev/null && [ ! -e "$dir" ]; then mv "$fresh" "$dir"; fi
    rm -rf "$fresh"
  fi
  if found=$(binary "$dir"); then
    printf '%s\t%s\n' "$name" "$found"
  else
    printf '\n*** There is no %s: npm could not bring it (%s).\n*** The tests that need it will be SKIPPED.\n\n' \
      "$package" "$(tail -n 1 <<<"${output:-}")" >&2
  fi
done
exit 0
