#!/usr/bin/env bash
# install-react-native.sh [--look]  prints the folder with what React Native bundles and compiles with: Metro, its Babel
# preset, the compiler hermesc, and the last binary of Hermes on npm that runs programs. npm brings them at the first
# use, into node_modules/.cache. --look brings nothing. Exits 0 in any case. Where they can't be had it prints nothing,
# and stderr says so loudly.
set -u
cd "$(dirname "$0")/.."

# Those of React Native 0.88.1, and Hermes 0.12.
packages=(
  @babel/core@7.29.13
  @babel/plugin-transform-unicode-property-regex@7.29.7
  @react-native/babel-preset@0.88.1
  @react-native/metro-config@0.88.1
  hermes-compiler@260318099.0.8
  hermes-engine-cli@0.12.0
)
dir=$PWD/node_modules/.cache/react-native/$(cksum <<<"${packages[*]}" | cut -d' ' -f1)

output="bash scripts/install-react-native.sh does that"
if [ ! -e "$dir" ] && [ "${1:-}" != --look ]; then
  mkdir -p "$(dirname "$dir")"
  fresh=$(mktemp -d "$dir.XXXXXX")
  # Scripts of the packages are not needed, and not run.
  output=$(cd "$fresh" && echo '{"private":true}' >package.json &&
    npm install --ignore-scripts --no-audit --no-fund --no-package-lock "${packages[@]}" 2>&1) &&
    # Somebody else may have been faster.
    [ ! -e "$dir" ] && mv "$fresh" "$dir"
  rm -rf "$fresh"
fi
if [ -e "$dir" ]; then
  echo "$dir"
else
  printf '\n*** There is no Metro and no Hermes: npm has not brought them (%s).\n*** React Native is NOT TESTED.\n\n' \
    "$(tail -n 1 <<<"$output")" >&2
fi
exit 0
