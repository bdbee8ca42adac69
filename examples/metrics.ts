import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { Layer } from "effect"
import { HttpRouter } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { Events, Metrics, NodeMultiserver } from "effect-multiserver/node"

/** Counts all events, and logs each on one line. */
export const Live = NodeMultiserver.layer().pipe(Layer.provide(Metrics.layer.pipe(Layer.provide(Events.layerLog))))

/** `GET /metrics` on this port of loopback, in the text format of Prometheus. */
export const metrics = (port: number) =>
  HttpRouter.serve(PrometheusMetrics.layerHttp({ metricNameMapper: Metrics.prometheusName })).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port }))
  )
