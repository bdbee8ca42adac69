/** stdin and stdout as the two directions of a connection, with backpressure both ways. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Connection from "../Connection.ts"
import { type ConnectionError, isDraining } from "../ConnectionError.ts"
import * as Durations from "./durations.ts"
import { type LocalError, localError, systemCode, UsageError } from "./exit.ts"
import { type Carried, progress } from "./progress.ts"
import { type Reporter, report } from "./reporter.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

export interface Input {
  readonly recvOnly: boolean
  readonly sendOnly: boolean
  readonly linger: Option.Option<string>
}

export interface Options {
  /** stdin is not read, and the goodbye comes when stdout has everything. */
  readonly recvOnly: boolean
  /** What the peer sends is dropped, and nothing is waited for that could still come. */
  readonly sendOnly: boolean
  /** How long the peer may be silent after the end of stdin. `undefined` if the flag is not given. */
  readonly linger: Duration.Duration | undefined
  /**
   * Whether this side lets the peer end first. If nothing came on stdin, it says goodbye only after the peer. Where
   * there is no half close, it ends a connection whose peer is silent. Only listeners do this: two sides that did would
   * wait for each other, or end what the other side still waits for.
   */
  readonly yields: boolean
}

/** The options that the flags give. */
export const options = ({ linger, recvOnly, sendOnly }: Input, yields: boolean): Effect.Effect<Options, UsageError> => {
  if (recvOnly && sendOnly) {
    const message = "--recv-only and --send-only leave nothing to do: leave one out"
    return Effect.fail(new UsageError({ kind: "Conflict", message }))
  }
  return Effect.map(Option.isSome(linger) ? Durations.parse("--linger", linger.value) : Effect.undefined, (linger) => ({
    linger,
    recvOnly,
    sendOnly,
    yields
  }))
}

// -----------------------------------------------------------------------------
// stdout
// -----------------------------------------------------------------------------

/** The reader of stdout has closed it, as with `| head`. That is no failure: it wants nothing more. */
export class StdoutClosed extends Schema.TaggedError<StdoutClosed>("effect-multiserver/cli/StdoutClosed")(
  "StdoutClosed",
  {}
) {}

const stdoutFailed = (error: PlatformError): StdoutClosed | LocalError =>
  systemCode(error) === "EPIPE" ? new StdoutClosed() : localError("cannot write stdout")(error)

/**
 * Writes what arrives to stdout. It completes when stdout has taken everything. That is so when the connection fails,
 * too: only then does this fail with the connection's error.
 */
const receiveTo = (
  stdio: Stdio.Stdio,
  connection: Connection.Connection,
  onChunk: (chunk: Uint8Array) => void
): Effect.Effect<void, ConnectionError | StdoutClosed | LocalError> =>
  Effect.suspend(() => {
    let failure: Effect.Effect<void, ConnectionError> = Effect.void
    const arriving = Connection.stream(connection).pipe(
      Stream.tap((chunk) => Effect.sync(() => onChunk(chunk))),
      Stream.catch((error) => {
        failure = Effect.fail(error)
        return Stream.empty
      })
    )
    return Stream.run(arriving, stdio.stdout()).pipe(
      // Ending stdout completes only after everything before it was written.
      Effect.andThen(Stream.run(Stream.empty, stdio.stdout({ endOnDone: true }))),
      Effect.mapError(stdoutFailed),
      Effect.andThen(Effect.suspend(() => failure))
    )
  })

// -----------------------------------------------------------------------------
// both
// -----------------------------------------------------------------------------

/**
 * How long a listener waits for a silent peer after the end of stdin, where the stack has no half close. Otherwise two
 * commands would wait for each other when both inputs have ended.
 */
const bearing = Duration.seconds(5)

/** How long to wait for the peer's end before `reminder` is reported. */
const reminding = "2 seconds"

const reminder = {
  event: "warning",
  message:
    "stdin has ended, and this stack can't tell the peer so: waiting until the peer ends the connection. " +
    "If the peer waits too, it never ends: --linger 5s ends it when the peer has been silent for that long"
} as const

const endedForSilence = {
  event: "warning",
  message:
    "stdin has ended and the peer has been silent for 5 s: the connection is ended. --linger 1h waits longer, and " +
    "--recv-only until the peer ends it"
} as const

/**
 * Sends stdin to the peer, and what the peer sends to stdout, until both have ended. The end of stdin is this side's
 * goodbye, and reading goes on until the peer's. A terminal has no unread input that could be lost, so there the peer's
 * goodbye is enough.
 *
 * Where the stack has no half close, to end this side would also end the peer's, and lose what it still had to send. So
 * the end of stdin does not end the connection there: it ends when the peer ends it.
 *
 * When the listener stops, the rest of stdin is still sent: a goodbye without it would say that it was everything.
 */
export const bridge = (
  connection: Connection.Connection,
  { linger, recvOnly, sendOnly, yields }: Options
): Effect.Effect<void, ConnectionError | StdoutClosed | LocalError, Stdio.Stdio | Reporter> =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    const interactive = yield* stdio.stdinIsTerminal
    const writing = Semaphore.makeUnsafe(1)
    /** Open when nothing more comes, and stdout has everything. */
    const received = Latch.makeUnsafe(false)
    const carried: Carried = { sent: 0, received: 0 }
    let chunks = 0
    let said = false
    const onChunk = (chunk: Uint8Array): void => {
      chunks++
      carried.received += chunk.length
    }
    // On a terminal that shows what the peer sends, the line would be in its way.
    const inTheWay = !sendOnly && (yield* stdio.stdoutIsTerminal)
    if (recvOnly || !interactive) {
      yield* Effect.forkScoped(progress(carried, () => !inTheWay || carried.received === 0))
    }

    const sent = recvOnly
      ? Effect.void
      : stdio.stdin.pipe(
          Stream.mapError(localError("cannot read stdin")),
          Stream.runForEachArray((batch) => {
            said = true
            return Effect.map(writing.withPermit(connection.writeAll(batch)), () => {
              carried.sent += batch.reduce((sum, { length }) => sum + length, 0)
            })
          })
        )
    const dropped = Effect.asVoid(Connection.forEachChunk(connection, onChunk))
    const heard = Effect.andThen(sendOnly ? dropped : receiveTo(stdio, connection, onChunk), received.open)
    const silentFor = (duration: Duration.Duration) =>
      Effect.gen(function* () {
        for (let before = -1; before !== chunks; ) {
          before = chunks
          yield* Effect.sleep(duration)
        }
      })
    const silent = linger === undefined ? Effect.never : silentFor(linger)

    if (interactive && !recvOnly) {
      const ended = Effect.andThen(sent, connection.end)
      return yield* Effect.raceFirst(heard, Effect.andThen(ended, Effect.never))
    }
    if (connection.halfClose) {
      const last = Effect.suspend(() => (recvOnly || (yields && !said) ? received.await : Effect.void))
      const goodbye = Latch.makeUnsafe(false)
      const ended = sent.pipe(Effect.andThen(last), Effect.andThen(connection.end), Effect.andThen(goodbye.open))
      const drained = Effect.catchIf(heard, isDraining, () => received.open)
      const both = Effect.all([ended, drained], { concurrency: "unbounded", discard: true })
      // Nothing reads any more then, and so nothing else would notice that the connection breaks.
      const broken = Effect.andThen(received.await, Connection.broken(connection))
      return yield* Effect.raceAllFirst([both, broken, Effect.andThen(goodbye.await, silent)])
    }
    const stopping = Latch.makeUnsafe(false)
    const remind = Effect.delay(Effect.andThen(report(reminder), Effect.never), reminding)
    const unasked = yields ? Effect.andThen(silentFor(bearing), report(endedForSilence)) : remind
    // Who wants nothing of the peer has no reason to wait for it.
    const waiting = sendOnly ? Effect.void : unasked
    const patience = recvOnly ? Effect.never : linger === undefined ? waiting : silent
    // After this side has ended the connection, what the peer sent before its own end is still read.
    const gaveUp = Effect.andThen(Effect.andThen(patience, connection.end), Effect.never)
    const sending = Effect.andThen(sent, Effect.raceFirst(gaveUp, stopping.await))
    const drained = Effect.catchIf(heard, isDraining, () => Effect.andThen(stopping.open, Effect.never))
    // Waits for a write that is under way, because its failure says that not everything was sent.
    const receiving = Effect.andThen(drained, writing.withPermit(Effect.void))
    yield* Effect.andThen(Effect.raceFirst(receiving, sending), connection.end)
  }).pipe(Effect.scoped)
