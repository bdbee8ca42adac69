/**
 * The life of a connection, the same for a dialer and a listener: the events of its beginning and its end, and the idle
 * timeout.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { format } from "./Address.ts"
import type { Connection } from "./Connection.ts"
import type * as Events from "./Events.ts"
import { nobody } from "./guarded.ts"
import { formatPublicKey } from "./Identity.ts"
import type { Leaving } from "./Link.ts"
import { endWhenIdle } from "./lifetime/idle.ts"
import { monotonicNow } from "./monotonic.ts"
import { printable } from "./printable.ts"

export interface ObserveOptions {
  readonly emit: Events.Sink
  readonly role: "dial" | "listen"
  readonly stack: string
  /** Of a dial: the addresses that failed before this one. */
  readonly failed?: ReadonlyArray<Events.Tried>
  /** Of an accepted connection: its source (an IP, for example), and the origin of its web page, if it has sent one. */
  readonly source?: string | undefined
  readonly origin?: string | undefined
  /** How long a connection may be silent before it is ended. */
  readonly idle: Duration.Duration
  /** Of a dial: how many milliseconds its transport took. Called once the connection is open. */
  readonly connectMillis?: () => number | undefined
  /** Of a dial: called with a defect because of which no connection was opened. */
  readonly died?: (cause: unknown) => Effect.Effect<void>
}

/** An open connection, and the one object that ends its stack. */
export interface Opened {
  readonly connection: Connection
  readonly leaving: Leaving
}

/** What an event has of its own, beside what `Connected` and `Closed` have in common. */
type What =
  | Pick<Events.Connected, "_tag" | "connectMillis" | "origin" | "failed">
  | Pick<Events.Closed, "_tag" | "phase" | "bytesRead" | "bytesWritten" | "tag" | "failure">

/**
 * Opens a connection, emits `Connected`, ends the connection when it is idle, and emits `Closed` when its scope has
 * closed.
 */
export const observe = <E, R>(
  { connectMillis, died, emit, failed = [], idle, origin, role, source, stack }: ObserveOptions,
  open: Effect.Effect<Opened, E, R>
): Effect.Effect<Opened, E, R | Scope.Scope> => {
  const opened = Duration.isFinite(idle) ? Effect.tap(open, ({ leaving }) => endWhenIdle(leaving, idle)) : open
  // Making an event costs more than opening a connection in memory, so none is made when there is no sink.
  if (emit === nobody) return opened
  return Effect.gen(function* () {
    const started = yield* monotonicNow
    const tell = ({ connection: { id, peer, remote }, leaving }: Opened, what: What) =>
      Effect.flatMap(monotonicNow, (now) => {
        const key = peer._tag === "Authenticated" ? formatPublicKey(peer.publicKey) : undefined
        const millis = Math.round(now - started)
        return emit({ ...what, id, role, stack, source, remote: format(remote), peer: key, millis }, leaving)
      })
    let begun: Opened | undefined
    // Registered before anything that opens, so it runs last: by then it is known how the connection ended.
    yield* Effect.addFinalizer((exit) => {
      if (begun !== undefined) return tell(begun, { _tag: "Closed", phase: "open", ...begun.leaving.account() })
      const defect = Exit.isFailure(exit) ? Cause.findDefect(exit.cause) : undefined
      return defect !== undefined && Result.isSuccess(defect) && died ? died(defect.success) : Effect.void
    })
    begun = yield* opened
    yield* tell(begun, {
      _tag: "Connected",
      connectMillis: connectMillis?.(),
      origin: origin && printable(origin),
      failed: [...failed]
    })
    return begun
  })
}
