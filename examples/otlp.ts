import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp } from "effect/observability"
import { Events, Metrics, NodeMultiserver } from "effect-multiserver/node"

/** Sends metrics, spans and the log to a collector of OpenTelemetry, such as `http://127.0.0.1:4318`. */
export const live = (baseUrl: string) =>
  NodeMultiserver.layer().pipe(
    Layer.provide(Metrics.layer.pipe(Layer.provide(Events.layerLog))),
    // The Multiserver makes spans because its layer is given the exporter's tracer.
    Layer.provideMerge(Otlp.layerJson({ baseUrl, resource: { serviceName: "greeter" } })),
    Layer.provide(FetchHttpClient.layer)
  )
