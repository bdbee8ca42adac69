#!/usr/bin/env bash
# A Tor network of its own on loopback: three authorities, four relays, a client with a SOCKS port, and a host with an onion service.
#
#   private-tor.sh DIR BASE_PORT SOCKS_PORT TARGET_PORT
#
# Runs until its stdin ends, also while the network comes up. Says `ready NAME.onion` when both tors are up and the service, which leads to
# 127.0.0.1:TARGET_PORT, has its name. All that it starts ends with it.
set -euo pipefail
dir=$1 base=$2 socks=$3 target=$4
service_port=8008
pids=()
# Killed at once: nothing of theirs is kept, and a tor that is asked to end has been seen to write its state and then to stay.
trap 'kill -KILL "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true' EXIT
trap 'exit 0' TERM
{ cat >/dev/null; kill $$; } <&0 &
pids+=($!)

# What a network of one machine needs beside TestingTorNetwork: everybody on one address, no waiting, no guards to learn.
settings() {
  mkdir -p -m 700 "$dir/$1"
  cat <<TORRC
TestingTorNetwork 1
DataDirectory $dir/$1
Log notice file $dir/$1/log
ShutdownWaitLength 0
AssumeReachable 1
UseDefaultFallbackDirs 0
PathsNeededToBuildCircuits 0.67
VanguardsLiteEnabled 0
ConfluxEnabled 0
TestingClientDownloadInitialDelay 0
TestingServerDownloadInitialDelay 0
TestingClientConsensusDownloadInitialDelay 0
TestingServerConsensusDownloadInitialDelay 0
TORRC
}
relay_settings() { # name port
  printf '%s\n' "Nickname $1" "Address 127.0.0.1" "ORPort 127.0.0.1:$2" "SocksPort 0" "ExitRelay 1" \
    "ExitPolicy accept 127.0.0.0/8:*" "ExitPolicyRejectPrivate 0" "ContactInfo test@test.invalid"
}
run() { tor -f "$dir/$1.torrc" >"$dir/$1.out" 2>&1 & pids+=($!); }

# Authorities know one another by the fingerprints of keys that have to be made first.
authorities=""
for i in 1 2 3; do
  name=authority$i or=$((base + 2 * i)) http=$((base + 2 * i + 1))
  { settings $name; relay_settings $name $or; echo "DirPort 127.0.0.1:$http"; } >"$dir/$name.base"
  mkdir -p -m 700 "$dir/$name/keys"
  echo test | tor-gencert --create-identity-key -m 12 -a "127.0.0.1:$http" --passphrase-fd 0 \
    -i "$dir/$name/keys/authority_identity_key" -s "$dir/$name/keys/authority_signing_key" \
    -c "$dir/$name/keys/authority_certificate" >/dev/null 2>&1
  nobody=0000000000000000000000000000000000000000
  fingerprint=$(tor -f "$dir/$name.base" --DirAuthority "x orport=1 v3ident=$nobody 127.0.0.1:1 $nobody" \
    --list-fingerprint --hush 2>/dev/null | tail -n 1 | cut -d' ' -f2- | tr -d ' ')
  identity=$(sed -n 's/^fingerprint //p' "$dir/$name/keys/authority_certificate")
  authorities+="DirAuthority $name orport=$or no-v2 v3ident=$identity 127.0.0.1:$http $fingerprint"$'\n'
done
for i in 1 2 3; do
  { cat "$dir/authority$i.base"; printf '%s' "$authorities"
    printf '%s\n' "AuthoritativeDirectory 1" "V3AuthoritativeDirectory 1" \
      "V3AuthVotingInterval 20 seconds" "V3AuthVoteDelay 4 seconds" "V3AuthDistDelay 4 seconds" \
      "TestingV3AuthInitialVotingInterval 5 seconds" "TestingV3AuthInitialVoteDelay 2 seconds" \
      "TestingV3AuthInitialDistDelay 2 seconds" "TestingDirAuthVoteExit *" "TestingDirAuthVoteHSDir *" \
      "TestingDirAuthVoteGuard *" "TestingMinExitFlagThreshold 0" "MinUptimeHidServDirectoryV2 0" \
      "AuthDirMaxServersPerAddr 0"
  } >"$dir/authority$i.torrc"
  run authority$i
done
for i in 1 2 3 4; do
  { settings relay$i; printf '%s' "$authorities"; relay_settings relay$i $((base + 20 + i)); } >"$dir/relay$i.torrc"
  run relay$i
done
mkdir -p -m 700 "$dir/service"
{ settings host; printf '%s' "$authorities"
  printf '%s\n' "SocksPort 0" "HiddenServiceDir $dir/service" "HiddenServicePort $service_port 127.0.0.1:$target"; } >"$dir/host.torrc"
run host
{ settings client; printf '%s' "$authorities"; echo "SocksPort 127.0.0.1:$socks"; } >"$dir/client.torrc"
run client

until [ -s "$dir/service/hostname" ] && grep -q 'Bootstrapped 100%' "$dir/client/log" && grep -q 'Bootstrapped 100%' "$dir/host/log"; do
  sleep 0.5
done 2>/dev/null
echo "ready $(cat "$dir/service/hostname")"
wait "${pids[0]}"
