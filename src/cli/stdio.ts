/** stdin and stdout as the two directions of a connection, with backpressure both ways. */
import * as Flag from "effect/cli/Flag"
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
import { type Reporter, report } from "./events.ts"
import { type LocalError, localError, systemCode, type UsageError } from "./exit.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

export const flags = {
  recvOnly: Flag.Boolean("recv-only").pipe(
    Flag.withDescription("Leave stdin alone, and say goodbye when the peer has and stdout has taken everything"),
    Flag.withDefault(false)
  ),
  linger: Flag.String("linger").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription(
      "After the end of stdin, how long the peer may be silent before the connection is ended, such as 5s; 0 " +
        "ends it at once. Without it, the peer's end is waited for, and by a listener 5s where the stack has no " +
        "half close"
    ),
    Flag.optional
  )
}

export interface Input {
  readonly recvOnly: boolean
  readonly linger: Option.Option<string>
}

export interface Options {
  /** stdin is not read, and the goodbye comes when stdout has everything. */
  readonly recvOnly: boolean
  /** How long the peer may be silent after the end of stdin. `undefined` where nobody has said it. */
  readonly linger: Duration.Duration | undefined
  /**
   * Whether this side gives way. One that has had nothing on stdin says goodbye after the peer, and where there is no
   * half close, it ends a connection whose peer is silent. It is for listeners only: two of that kind would wait for
   * each other, or end what the other one still waits for.
   */
  readonly yields: boolean
}

/** The options by flags. */
export const options = ({ linger, recvOnly }: Input, yields: boolean): Effect.Effect<Options, UsageError> =>
  Effect.map(Option.isSome(linger) ? Durations.parse("--linger", linger.value) : Effect.undefined, (linger) => ({
    linger,
    recvOnly,
    yields
  }))

// -----------------------------------------------------------------------------
// stdout
// -----------------------------------------------------------------------------

/** Who read stdout has closed it: `| head`. Nothing is wrong, and nothing more is wanted. */
export class StdoutClosed extends Schema.TaggedError<StdoutClosed>("effect-multiserver/cli/StdoutClosed")(
  "StdoutClosed",
  {}
) {}

const stdoutFailed = (error: PlatformError): StdoutClosed | LocalError =>
  systemCode(error) === "EPIPE" ? new StdoutClosed() : localError("cannot write stdout")(error)

/** What arrives goes to stdout. It is over when stdout has taken everything, also where the connection has failed. */
const receiveTo = (
  stdio: Stdio.Stdio,
  connection: Connection.Connection,
  onChunk: () => void
): Effect.Effect<void, ConnectionError | StdoutClosed | LocalError> =>
  Effect.suspend(() => {
    let failure: Effect.Effect<void, ConnectionError> = Effect.void
    const arriving = Connection.stream(connection).pipe(
      Stream.tap(() => Effect.sync(onChunk)),
      Stream.catch((error) => {
        failure = Effect.fail(error)
        return Stream.empty
      })
    )
    return Stream.run(arriving, stdio.stdout()).pipe(
      // The end of it is known only when all before it was written.
      Effect.andThen(Stream.run(Stream.empty, stdio.stdout({ endOnDone: true }))),
      Effect.mapError(stdoutFailed),
      Effect.andThen(Effect.suspend(() => failure))
    )
  })

// -----------------------------------------------------------------------------
// both
// -----------------------------------------------------------------------------

/**
 * How long a listener bears a silent peer after the end of stdin, where neither side can say its end. Both commands
 * would wait for each other otherwise, when both inputs have ended.
 */
const bearing = Duration.seconds(5)

/** How long the peer's end is waited for before that is said. */
const reminding = "2 seconds"

const reminder = {
  event: "warning",
  message:
    "stdin has ended, and this stack can't say so to the peer: waiting until the peer ends the connection. " +
    "if it waits too, neither ends. --linger 5s ends it when the peer has been silent for so long"
} as const

const endedForSilence = {
  event: "warning",
  message:
    "stdin has ended and the peer has been silent for 5 s: the connection is ended. --linger 1h waits longer, and " +
    "--recv-only until the peer ends it"
} as const

/**
 * stdin to the peer, the peer to stdout, until both have ended: the end of stdin is this side's goodbye, and reading
 * goes on until the peer's. A terminal has nothing on its way that could be lost, so there the peer's goodbye is
 * enough.
 *
 * Where the stack has no half close, the end of one side would end both, with what the other one had still to say. So
 * the end of stdin is not said there: the peer's end is waited for, and is the end.
 *
 * When the listener stops, what stdin has is still sent: without it, a goodbye would say that all was said.
 */
export const bridge = (
  connection: Connection.Connection,
  { linger, recvOnly, yields }: Options
): Effect.Effect<void, ConnectionError | StdoutClosed | LocalError, Stdio.Stdio | Reporter> =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    const interactive = yield* stdio.stdinIsTerminal
    const writing = Semaphore.makeUnsafe(1)
    /** Nothing more comes, and stdout has everything. */
    const received = Latch.makeUnsafe(false)
    let chunks = 0
    let said = false

    const sent = recvOnly
      ? Effect.void
      : stdio.stdin.pipe(
          Stream.mapError(localError("cannot read stdin")),
          Stream.runForEachArray((batch) => {
            said = true
            return writing.withPermit(connection.writeAll(batch))
          })
        )
    const heard = Effect.andThen(
      receiveTo(stdio, connection, () => {
        chunks++
      }),
      received.open
    )
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
      // Nobody reads any more who would notice.
      const broken = Effect.andThen(received.await, Connection.broken(connection))
      return yield* Effect.raceAllFirst([both, broken, Effect.andThen(goodbye.await, silent)])
    }
    const stopping = Latch.makeUnsafe(false)
    const remind = Effect.delay(Effect.andThen(report(reminder), Effect.never), reminding)
    const unasked = yields ? Effect.andThen(silentFor(bearing), report(endedForSilence)) : remind
    const patience = recvOnly ? Effect.never : linger === undefined ? unasked : silent
    // After this side's end, what the peer said before its own is read all the same.
    const gaveUp = Effect.andThen(Effect.andThen(patience, connection.end), Effect.never)
    const sending = Effect.andThen(sent, Effect.raceFirst(gaveUp, stopping.await))
    const drained = Effect.catchIf(heard, isDraining, () => Effect.andThen(stopping.open, Effect.never))
    // A write that is under way tells by its failure that not all was taken.
    const receiving = Effect.andThen(drained, writing.withPermit(Effect.void))
    yield* Effect.andThen(Effect.raceFirst(receiving, sending), connection.end)
  })
