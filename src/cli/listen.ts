/** `multiserver listen`: one peer bridged to stdio, or many echoed. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Connection from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import * as Addresses from "./addresses.ts"
import * as Dialing from "./dialing.ts"
import { UsageError } from "./exit.ts"
import { keepStdin, stdinIsNoDirectory } from "./files.ts"
import * as Finding from "./finding.ts"
import type * as Flags from "./flags.ts"
import * as Listening from "./listening.ts"
import * as Serving from "./serving.ts"
import * as Settings from "./settings.ts"
import * as Pipe from "./stdio.ts"
import * as Workers from "./workers.ts"

const echo = (connection: Connection.Connection): Effect.Effect<void, ConnectionError> =>
  connection.pull.pipe(
    Effect.flatMap(connection.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )

export const run = (input: Flags.Input<typeof Flags.ofListen>) =>
  Effect.gen(function* () {
    const settings = yield* Settings.read("listen", input)
    if (Option.isSome(input.workers)) {
      yield* Workers.check(input, input.once)
      if (!input.echo) {
        const message = "--workers is for --echo, which serves many peers; without it, listen serves one: leave it out"
        return yield* new UsageError({ kind: "Conflict", message })
      }
    }
    if (!input.echo) yield* keepStdin("listen", input)
    if (!input.echo && !input.recvOnly) yield* stdinIsNoDirectory
    const given = yield* Addresses.given(input.addresses, input.addressFile)
    if (input.echo && (input.recvOnly || input.sendOnly || Option.isSome(input.linger))) {
      const message =
        "--recv-only, --send-only and --linger are for stdin and stdout, which --echo doesn't use: leave them out"
      return yield* new UsageError({ kind: "Conflict", message })
    }
    if (input.once && !input.echo) {
      const message = "--once is for --echo; without that, listen always stops after one connection: leave it out"
      return yield* new UsageError({ kind: "Conflict", message })
    }
    const how = yield* Pipe.options(input, true)
    const bridge = (connection: Connection.Connection) => Pipe.bridge(connection, how)
    const serving = input.echo ? (input.once ? Serving.once(echo) : Serving.many(echo)) : Serving.once(bridge)
    const trackers = yield* Finding.trackers(input.tracker)
    yield* Listening.serve(input, {
      addresses: given.addresses,
      exposed: given.exposed || trackers.exposed,
      dialed: [],
      finding: Finding.none,
      trackers: trackers.addresses,
      workers: Option.getOrUndefined(input.workers),
      serving,
      settings,
      dialing: yield* Dialing.trackerOptions(settings)
    })
  }).pipe(Effect.catchTag("StdoutClosed", () => Effect.void))
