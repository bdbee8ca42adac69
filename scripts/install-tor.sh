#!/usr/bin/env bash
# Installs Debian's tor for the tests over a private Tor network. A tor daemon of the system would talk to the real
# network, so none is started.
package=tor
by_hand=tor
untested="The tests over a private Tor network will be SKIPPED."
have() { command -v tor >/dev/null && command -v tor-gencert >/dev/null; }
. "$(dirname "$0")/debian.sh"
