/** stdin and stdout as the two directions of a connection, with backpressure both ways. */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Connection from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import { LocalError } from "./exit.ts"

/** Who read stdout has closed it: `| head`. Nothing is wrong, and nothing more is wanted. */
export class StdoutClosed extends Schema.TaggedError<StdoutClosed>("effect-multiserver/cli/StdoutClosed")(
  "StdoutClosed",
  {}
) {}

const failed =
  (what: string) =>
  ({ reason }: PlatformError): LocalError =>
    new LocalError({ kind: reason._tag, message: `${what}: ${codeOf(reason.cause) ?? reason.message}` })

/** The system's word for why: `EPIPE`. */
const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined

const stdoutFailed = (error: PlatformError): StdoutClosed | LocalError =>
  codeOf(error.reason.cause) === "EPIPE" ? new StdoutClosed() : failed("stdout")(error)

const isDraining = ({ reason }: ConnectionError): boolean =>
  reason._tag === "LocallyClosed" && reason.why === "draining"

/**
 * stdin to the peer, the peer to stdout, until both have ended: the end of stdin is this side's goodbye, and reading goes
 * on until the peer's. A terminal has nothing on its way that could be lost, so there the peer's goodbye is enough.
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
      Stream.mapError(failed("stdin")),
      Stream.runForEachArray(connection.writeAll),
      Effect.andThen(connection.end)
    )
    const receive = Connection.stream(connection).pipe(Stream.run(mapSinkError(stdio.stdout())))
    if (interactive) return yield* Effect.raceFirst(receive, Effect.andThen(send, Effect.never))
    const drained = Effect.catchIf(receive, (error) => error._tag === "ConnectionError" && isDraining(error), () => Effect.void)
    yield* Effect.all([send, drained], { concurrency: "unbounded", discard: true })
  })
