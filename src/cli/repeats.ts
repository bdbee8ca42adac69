/** Newcomers that are turned away come in floods: what repeats is said once in a while, with how many there were. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Event } from "./events.ts"

/** How long what was said stands for others of its kind. */
const window = "10 seconds"
/** How many sources are told apart in that time; further ones are one. */
const maxKinds = 1024

type Say = (event: Event) => Effect.Effect<void>
type Repeated = Extract<Event, { readonly event: "refused" | "handshake-failed" }>

interface Kind {
  readonly first: Repeated
  readonly more: number
}

/** Of one source and for one reason, the first is said at once, and the others as one event when the time is over. */
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
