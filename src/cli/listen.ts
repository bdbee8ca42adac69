/** `multiserver listen`: one peer bridged to stdio, or many echoed. */
import * as Cause from "effect/Cause"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Connection from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import * as Addresses from "./addresses.ts"
import { UsageError } from "./exit.ts"
import { keepStdin, stdinIsNoDirectory } from "./files.ts"
import * as Listening from "./listening.ts"
import * as Serving from "./serving.ts"
import * as Settings from "./settings.ts"
import * as Stacks from "./stacks.ts"
import * as Pipe from "./stdio.ts"

const echo = (connection: Connection.Connection): Effect.Effect<void, ConnectionError> =>
  connection.pull.pipe(
    Effect.flatMap(connection.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )

export const listen = Command.make("listen", {
  addresses: Addresses.address.pipe(
    Argument.withDescription("What to listen on; port 0 takes any that is free"),
    Argument.variadic()
  ),
  addressFile: Addresses.fileFlag,
  ...Listening.flags,
  ...Pipe.flags,
  ...Settings.flags,
  echo: Flag.Boolean("echo").pipe(
    Flag.withDescription("Serve many peers, and send each one back what it sends"),
    Flag.withDefault(false)
  ),
  once: Flag.Boolean("once").pipe(
    Flag.withDescription("With --echo: stop after one connection, as without --echo"),
    Flag.withDefault(false)
  )
}).pipe(
  Command.withDescription(
    "Listen on addresses. One peer is bridged to stdin and stdout, or with --echo many are served. SIGINT " +
      "and SIGTERM let connections finish; a second one ends at once."
  ),
  Command.withShortDescription("Bridge one peer to stdin and stdout, or echo many"),
  Command.withExamples([
    {
      command: `multiserver listen net:127.0.0.1:8008~${Stacks.exampleTransform} --key-file secret`,
      description: "One peer on stdin and stdout"
    },
    {
      command: `multiserver listen net:127.0.0.1:0~${Stacks.exampleTransform} --echo --json`,
      description: "An echo server, with JSON events on stderr"
    },
    {
      command: "multiserver listen ws://127.0.0.1:8989 --origin http://localhost:5173",
      description: "For web pages of that origin, and no others"
    },
    {
      command: [
        `multiserver listen wss://0.0.0.0:443~${Stacks.exampleTransform} --tls-key key.pem --tls-cert cert.pem`,
        "--external pub.example --scope public"
      ].join(" "),
      description: "Over TLS; prints the address that the public dials"
    }
  ]),
  Command.withHandler((input) =>
    Effect.gen(function* () {
      const settings = yield* Settings.read("listen", input)
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
      yield* Listening.serve(input, { ...given, dialed: [], serving, settings, dialing: { web: {}, onion: {} } })
    }).pipe(Effect.catchTag("StdoutClosed", () => Effect.void))
  )
)
