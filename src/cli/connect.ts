/** `multiserver connect`: stdin to a peer, and the peer to stdout. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Address from "../Address.ts"
import * as Sodium from "../crypto/Sodium.ts"
import { DialError, DialTimedOut } from "../DialError.ts"
import * as Events from "../Events.ts"
import * as Multiserver from "../Multiserver.ts"
import * as Addresses from "./addresses.ts"
import { fromLibrary, Reporter, report } from "./events.ts"
import { UsageError } from "./exit.ts"
import * as Keys from "./keys.ts"
import * as Stacks from "./stacks.ts"
import { bridge } from "./stdio.ts"

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `1.5s`, `500ms`, `2m`; a bare number is seconds. */
const parseDuration = (text: string): Effect.Effect<Duration.Duration, UsageError> => {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? []
  const millis = Number(amount) * (units[unit] ?? 1)
  return millis > 0
    ? Effect.succeed(Duration.millis(millis))
    : Effect.fail(new UsageError({ kind: "BadValue", message: "--timeout takes a duration such as 30s, 500ms or 2m" }))
}

/** One deadline over all attempts. */
const dial = (addresses: Address.MultiAddress, timeout: Duration.Duration) =>
  Effect.timeoutOrElse(Multiserver.dial(addresses), {
    duration: timeout,
    orElse: () => {
      const reason = new DialTimedOut({ phase: "connect", millis: Duration.toMillis(timeout) })
      return Effect.fail(new DialError({ address: Address.format(addresses), reason }))
    }
  })

/** The library's events, as they come. */
const events = Layer.effect(
  Events.Events,
  Effect.map(Reporter, ({ say }) => (event: Events.Event) => {
    const own = fromLibrary(event)
    return own === undefined ? Effect.void : say(own)
  })
)

export const connect = Command.make("connect", {
  address: Addresses.address.pipe(
    Argument.withDescription("Who to dial; several addresses of the same peer are joined by ;"),
    Argument.optional
  ),
  addressFile: Addresses.fileFlag,
  ...Keys.flags,
  timeout: Flag.String("timeout").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription("For all attempts together, such as 500ms, 10s or 2m (default: 30s)"),
    Flag.withDefault("30s")
  )
}).pipe(
  Command.withDescription(
    "Dial a peer: stdin goes to it and what it sends to stdout. The end of stdin ends this side; reading goes on until the peer's goodbye."
  ),
  Command.withShortDescription("Dial a peer: stdin to it, and what it sends to stdout"),
  Command.withExamples([
    { command: "echo hello | multiserver connect net:pub.example:8008~shs:KEY", description: "Send a line" },
    { command: "multiserver connect --address-file invite", description: "Dial with an invite that nobody else sees" }
  ]),
  Command.withHandler((input) =>
    Effect.gen(function* () {
      const timeout = yield* parseDuration(input.timeout)
      const { addresses, exposed } = yield* Addresses.given(Option.toArray(input.address), input.addressFile)
      const appKey = yield* Keys.appKey(input)
      if (exposed) yield* report(Addresses.exposedWarning)
      yield* dial(addresses, timeout).pipe(
        Effect.flatMap(bridge),
        Effect.scoped,
        // The connection was ended without a goodbye: not all was said.
        Effect.catchTag("StdoutClosed", () => Effect.void),
        Effect.provide(
          Stacks.layer({ appKey }).pipe(
            Layer.provide([Keys.identity(input.keyFile), events]),
            Layer.provide(Sodium.layer)
          )
        )
      )
    })
  )
)
