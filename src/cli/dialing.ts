/** What `connect`, `probe` and `bridge` share: how they dial. */
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type * as Connection from "../Connection.ts"
import { DialError, DialTimedOut, Unsupported } from "../DialError.ts"
import * as Multiserver from "../Multiserver.ts"
import * as Durations from "./durations.ts"
import type { LocalError, UsageError } from "./exit.ts"
import type { Needs } from "./files.ts"
import * as Origins from "./origins.ts"
import * as Socks from "./socks.ts"
import * as Stacks from "./stacks.ts"
import * as Tls from "./tls.ts"

/** For all who dial. */
export const flags = {
  timeout: Flag.String("timeout").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription("For all attempts together, such as 500ms, 10s or 2m (default: 30s)"),
    Flag.withDefault("30s")
  ),
  race: Flag.Boolean("race").pipe(
    Flag.withDescription("Try several addresses at once and take the first that answers, instead of one after another"),
    Flag.withDefault(false)
  ),
  tlsCa: Tls.caFlag,
  socks: Socks.flag
}

/** For those who only dial. */
export const ownFlags = {
  ...flags,
  ...Tls.flags,
  origin: Flag.String("origin").pipe(
    Flag.withMetavar("ORIGIN"),
    Flag.withDescription("The origin to show over ws and wss, as a page of it would; without it, none"),
    Flag.optional
  )
}

interface Input {
  readonly timeout: string
  readonly race: boolean
  readonly tlsCa: Option.Option<string>
  readonly socks: ReadonlyArray<string>
}

interface OwnInput extends Input, Tls.Input {
  readonly origin: Option.Option<string>
}

/** Dials addresses of one peer, with one deadline over all attempts. */
export type Dial = (
  addresses: Address.MultiAddress
) => Effect.Effect<Connection.Connection, Address.AddressError | DialError, Multiserver.Multiserver | Scope.Scope>

export const dial = ({ race, timeout }: Input): Effect.Effect<Dial, UsageError> =>
  Effect.map(
    Durations.parse("--timeout", timeout, 1),
    (duration): Dial =>
      (addresses) =>
        Effect.timeoutOrElse(Multiserver.dial(addresses, { plan: race ? "race" : "inOrder" }), {
          duration,
          orElse: () => {
            const reason = new DialTimedOut({ phase: "connect", millis: Duration.toMillis(duration) })
            return Effect.fail(new DialError({ address: Address.format(addresses), reason }))
          }
        })
  )

/** Fails when none of the addresses is spoken, for those who dial only later. */
export const checkSpoken = (addresses: Address.MultiAddress): Effect.Effect<void, DialError> => {
  const [{ stack }] = addresses
  return addresses.some(Stacks.speaks)
    ? Effect.void
    : Effect.fail(
        new DialError({ address: Address.format(addresses), reason: new Unsupported({ stack, spoken: Stacks.stacks }) })
      )
}

/** The protocols' options. */
export const options = (input: Input): Effect.Effect<Stacks.Dialing, UsageError | LocalError, Needs> =>
  Effect.all({ web: Tls.trust(input.tlsCa), onion: Socks.parse(input.socks) })

/** The same for those who only dial. */
export const ownOptions = (input: OwnInput): Effect.Effect<Stacks.Dialing, UsageError | LocalError, Needs> =>
  Effect.gen(function* () {
    const { web, ...rest } = yield* options(input)
    const clientCredentials = yield* Tls.credentials(input)
    const [origin] = yield* Origins.parse(Option.toArray(input.origin))
    return {
      ...rest,
      web: {
        ...web,
        ...(clientCredentials && { clientCredentials }),
        ...(origin !== undefined && { origin })
      }
    }
  })
