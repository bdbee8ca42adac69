#!/usr/bin/env bash
# Installs Debian's PostgreSQL for the tests of a cluster, which start a server of their own and throw it away.
package=postgresql
by_hand=postgresql
untested="The tests of a cluster with real storage are NOT TESTED."
have() { command -v initdb >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; }
. "$(dirname "$0")/debian.sh"
