/** Serves with several processes. This one reports what they do, and accepts nothing. */
import cluster from "node:cluster"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Address from "../Address.ts"
import * as Sodium from "../crypto/Sodium.ts"
import * as Events from "../Events.ts"
import * as Identity from "../Identity.ts"
import * as Limits from "../Limits.ts"
import type { Reach } from "../Transport.ts"
import { launchWith } from "../Workers.ts"
import { isWorker } from "../workerChannel.ts"
import type { Event } from "./events.ts"
import { Reporter } from "./reporter.ts"
import * as Signals from "./signals.ts"

/** Whether a worker reports an event. All workers run this program, so a closer look is not needed. */
const isEvent = (said: unknown): said is Event => Predicate.hasProperty(said, "event") && typeof said.event === "string"

/** Passes each SIGHUP on to the workers, which read their files again. */
const passHangups = Effect.flatMap(Signals.OnHangup, (onHangup) =>
  onHangup(() => {
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGHUP")
  })
)

interface Task<E, R, E2, R2> {
  readonly workers: number
  readonly limits: Limits.LimitValues
  /** Read by this process alone. */
  readonly identity: Layer.Layer<Identity.Identity, E2, R2>
  readonly sinks: ReadonlyArray<Events.Sink>
  /** Whether the workers read files again at a SIGHUP. */
  readonly reloads: boolean
  /** Reports where the workers listen. */
  readonly listening: (
    addressesOf: (scopes: ReadonlyArray<Reach>) => ReadonlyArray<Address.Address>
  ) => Effect.Effect<void, never, Reporter>
  /** What each worker serves. */
  readonly server: Layer.Layer<never, E, R>
}

/** Serves until it is interrupted. In a worker, until the parent stops it. */
export const serve = <E, R, E2, R2>({
  identity,
  limits,
  listening,
  reloads,
  server,
  sinks,
  workers
}: Task<E, R, E2, R2>) =>
  Effect.gen(function* () {
    const reporter = yield* Reporter
    if (reloads && !isWorker()) yield* passHangups
    yield* launchWith(server, {
      workers,
      said: (said) => (isEvent(said) ? reporter.say(said) : Effect.void),
      onListening: (listeners) =>
        Effect.provideService(
          listening((scopes) => listeners.flatMap((each) => scopes.flatMap((scope) => each[scope]))),
          Reporter,
          reporter
        )
    }).pipe(
      Effect.provide([
        // A worker gets the key from the parent, which alone can read a key from stdin.
        isWorker() ? Layer.provide(Identity.layerEphemeral, Sodium.layer) : identity,
        Events.layer(...sinks),
        Layer.succeed(Limits.Limits, limits)
      ])
    )
  }).pipe(Effect.scoped)
