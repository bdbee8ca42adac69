/** stdin and stdout as the two directions of a connection, with backpressure both ways. */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Connection from "../Connection.ts"
import { type ConnectionError, isDraining } from "../ConnectionError.ts"
import { type LocalError, localError, systemCode } from "./exit.ts"

/** Who read stdout has closed it: `| head`. Nothing is wrong, and nothing more is wanted. */
export class StdoutClosed extends Schema.TaggedError<StdoutClosed>("effect-multiserver/cli/StdoutClosed")(
  "StdoutClosed",
  {}
) {}

const stdoutFailed = (error: PlatformError): StdoutClosed | LocalError =>
  systemCode(error) === "EPIPE" ? new StdoutClosed() : localError("cannot write stdout")(error)

/**
 * stdin to the peer, the peer to stdout, until both have ended: the end of stdin is this side's goodbye, and reading
 * goes on until the peer's. A terminal has nothing on its way that could be lost, so there the peer's goodbye is
 * enough.
 *
 * When the listener stops, what stdin has is still sent: without it, a goodbye would say that all was said.
 */
export const bridge = (
  connection: Connection.Connection
): Effect.Effect<void, ConnectionError | StdoutClosed | LocalError, Stdio.Stdio> =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    const interactive = yield* stdio.stdinIsTerminal
    const send = stdio.stdin.pipe(
      Stream.mapError(localError("cannot read stdin")),
      Stream.runForEachArray(connection.writeAll),
      Effect.andThen(connection.end)
    )
    const receive = Stream.run(Connection.stream(connection), Sink.mapError(stdio.stdout(), stdoutFailed))
    if (interactive) return yield* Effect.raceFirst(receive, Effect.andThen(send, Effect.never))
    const drained = Effect.catchIf(receive, isDraining, () => Effect.void)
    yield* Effect.all([send, drained], { concurrency: "unbounded", discard: true })
  })
