/** The names of the instruments in Prometheus. */

/** What OpenTelemetry's rules for Prometheus append to each name: its unit, and `_total` to what only grows. */
const suffixes: Readonly<Record<string, string>> = {
  "multiserver.dials": "_total",
  "multiserver.dial.fallbacks": "_total",
  "multiserver.dial.attempt.duration": "_seconds",
  "multiserver.handshake.duration": "_seconds",
  "multiserver.connection.duration": "_seconds",
  "multiserver.active_connections": "",
  "multiserver.refused_connections": "_total",
  "multiserver.network.io": "_bytes_total",
  "multiserver.lookup.failures": "_total"
}

/**
 * The name of a metric as Prometheus has it: `multiserver.handshake.duration` becomes
 * `multiserver_handshake_duration_seconds`, as a collector of OpenTelemetry would name it. Other names stay as they
 * are. It is the `metricNameMapper` of Effect's `PrometheusMetrics`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const prometheusName = (name: string): string => {
  const suffix = Object.hasOwn(suffixes, name) ? suffixes[name] : undefined
  return suffix === undefined ? name : name.replaceAll(".", "_") + suffix
}
