/** A page that goes on hearing a peer, over as many connections as it takes: docs/browser.md. */
import { Effect, Schedule, Stream } from "effect"
import { Connection, Multiserver } from "effect-multiserver/browser"

/** How long to wait after a failure: half a second, then twice as long each time, up to 4 seconds. */
const backoff = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("4 seconds")])

export const hear = (address: string, said: (text: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const peer = yield* Multiserver.dial(address, { timeout: "10 seconds" })
    yield* Connection.stream(peer).pipe(Stream.decodeText, Stream.runForEach(said))
  }).pipe(
    Effect.scoped,
    // A dial that fails, or a connection that breaks, for a reason that may pass.
    Effect.retry({ while: Multiserver.isRetryable, schedule: backoff }),
    // A peer that stops in order says goodbye. That is the end of the stream, and no error.
    Effect.repeat(Schedule.spaced("1 second"))
  )
