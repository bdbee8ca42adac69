#!/usr/bin/env bash
# Installs Debian's prometheus, which brings promtool, for the tests of the metrics, of ops/grafana.json and of
# ops/alerts.yml.
package=prometheus
by_hand="prometheus and promtool"
untested="The tests with a real Prometheus will be SKIPPED."
have() { command -v prometheus >/dev/null && command -v promtool >/dev/null; }
. "$(dirname "$0")/debian.sh"
# The package enables its service. The tests start a prometheus of their own, and stop it.
if command -v systemctl >/dev/null; then "${as_root[@]}" systemctl disable --quiet --now prometheus 2>/dev/null; fi
exit 0
