/** Events of refused newcomers can come in floods. Those that repeat are reported as one now and then, with a count. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Event } from "./events.ts"

/** How long repeated events are counted before they are reported as one. */
const window = "10 seconds"
/** How many kinds of events are counted separately in that time. Events of further sources are counted together. */
const maxKinds = 1024

type Say = (event: Event) => Effect.Effect<void>
type Repeated = Extract<Event, { readonly event: "refused" | "handshake-failed" }>

interface Kind {
  readonly first: Repeated
  readonly more: number
}

/**
 * Of the events with one source and one reason, reports the first at once, and the others as one event: after `window`,
 * or when the scope closes.
 */
export const quieted = (
  say: Say,
  repeats: (event: Event) => event is Repeated
): Effect.Effect<Say, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const kinds = new Map<string, Kind>()
    const sum = Effect.suspend(() => {
      const repeated = [...kinds.values()].filter(({ more }) => more > 0)
      kinds.clear()
      return Effect.forEach(repeated, ({ first, more }) => say({ ...first, count: more }), { discard: true })
    })
    yield* Effect.addFinalizer(() => sum)
    return (event) =>
      Effect.suspend(() => {
        if (!repeats(event)) return say(event)
        const own = `${event.event} ${event.reason} ${event.source}`
        const key = kinds.has(own) || kinds.size < maxKinds ? own : `${event.event} ${event.reason}`
        const known = kinds.get(key)
        kinds.set(
          key,
          known === undefined ? { first: event, more: event.count - 1 } : { ...known, more: known.more + event.count }
        )
        if (known !== undefined) return Effect.void
        const begun = kinds.size > 1 ? Effect.void : Effect.forkIn(Effect.delay(sum, window), scope)
        return Effect.andThen(begun, say({ ...event, count: 1 }))
      })
  })
