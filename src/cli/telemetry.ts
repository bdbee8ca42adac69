/** What is made of the events of a listener besides its log: metrics for Prometheus, and the live status. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type * as Events from "../Events.ts"
import { Tally } from "../metrics/tally.ts"
import { monotonicNow } from "../monotonic.ts"
import { type LocalError, UsageError } from "./exit.ts"
import { Reporter, report } from "./reporter.ts"
import type { Place } from "./scrape.ts"
import { Status } from "./status.ts"

export interface Input {
  readonly metrics: Option.Option<string>
}

/** How often the status is shown. */
const tick = "500 millis"

/** `HOST:PORT`, or a port of loopback. Port 0 takes any that is free. */
const parse = (text: string): Effect.Effect<Place, UsageError> => {
  const whole = /^\d+$/.test(text) ? `127.0.0.1:${text}` : text
  const [only, ...others] = Result.getOrElse(Address.parse(`net:${whole}`), () => [])
  if (only !== undefined && others.length === 0 && only.transforms.length === 0 && only.transport._tag === "net") {
    return Effect.succeed({ text, host: only.transport.host, port: only.transport.port })
  }
  const message = "--metrics takes HOST:PORT, or only a port, which is on loopback: --metrics 9464"
  return Effect.fail(new UsageError({ kind: "BadValue", message }))
}

const openWarning = (url: string) =>
  ({
    event: "warning",
    message: `--metrics: everybody who reaches ${url} can read it, because it asks for no password and is not encrypted`
  }) as const

/**
 * Binds the endpoint and reports it, and shows the status while the scope is open. Succeeds with what counts the
 * events: nothing, where nobody wants to see the numbers. `isMany` says whether many connections are
 * served: a single one has its own progress to show.
 */
export const start = (
  { metrics }: Input,
  isMany: boolean
): Effect.Effect<ReadonlyArray<Events.Sink>, UsageError | LocalError, Reporter | Scope.Scope> =>
  Effect.gen(function* () {
    const { columns, showsStatus, status } = yield* Reporter
    const shows = isMany && showsStatus
    if (Option.isNone(metrics) && !shows) return []
    // A registry of its own: nothing else of the process is shown.
    const context = Context.make(Metric.MetricRegistry, new Map())
    const tally = new Tally(context)
    if (Option.isSome(metrics)) {
      const place = yield* parse(metrics.value)
      const { serve } = yield* Effect.promise(() => import("./scrape.ts"))
      const { reach, url } = yield* serve(place, context, () => tally.look())
      yield* report({ event: "metrics", url })
      if (reach !== "device") yield* report(openWarning(url))
    }
    if (shows) {
      const line = new Status()
      const show = Effect.gen(function* () {
        yield* Effect.sleep(tick)
        tally.look()
        yield* status(line.line(tally.totals, yield* monotonicNow, columns() - 1))
      })
      yield* Effect.forkScoped(Effect.ensuring(Effect.forever(show), status("")))
    }
    return [(event, carried) => Effect.sync(() => tally.event(event, carried))]
  })
