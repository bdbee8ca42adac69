/** What `connect`, `probe` and `bridge` share: how they dial. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type * as Connection from "../Connection.ts"
import { DialError, Unsupported } from "../DialError.ts"
import type { Timeouts } from "../Dialer.ts"
import * as Multiserver from "../Multiserver.ts"
import * as Durations from "./durations.ts"
import { failed } from "./events.ts"
import { type LocalError, UsageError } from "./exit.ts"
import type { Needs } from "./files.ts"
import * as Origins from "./origins.ts"
import * as Proxy from "./proxy.ts"
import { type Reporter, report } from "./reporter.ts"
import type { Settings } from "./settings.ts"
import * as Socks from "./socks.ts"
import * as Spoken from "./spoken.ts"
import type * as Stacks from "./stacks.ts"
import * as Tls from "./tls.ts"
import * as Used from "./used.ts"

interface Input {
  readonly timeout: Option.Option<string>
  readonly race: boolean
  readonly tlsCa: Option.Option<string>
  readonly socks: ReadonlyArray<string>
  readonly proxy: Option.Option<string>
}

interface OwnInput extends Input, Tls.Input {
  readonly origin: Option.Option<string>
}

/** Dials addresses of one peer, with one deadline over all attempts. */
export type Dial = (
  addresses: Address.MultiAddress
) => Effect.Effect<Connection.Connection, Address.AddressError | DialError, Multiserver.Multiserver | Scope.Scope>

/**
 * How long each step of an attempt may take, where that is longer than its default deadline. Addresses that are dialed
 * one after another share the time, so that a silent one does not use up that of the others.
 */
const shareOf = (duration: Duration.Duration, addresses: Address.MultiAddress, race: boolean): Timeouts => ({
  atLeast: Duration.toMillis(duration) / (race ? 1 : addresses.length)
})

const parsed = (text: string) => Durations.parse("--timeout", text, 1)

export const dial = ({ race, timeout }: Input): Effect.Effect<Dial, UsageError> =>
  Effect.map(Effect.transposeOption(Option.map(timeout, parsed)), (asked): Dial => {
    const duration = Option.getOrElse(asked, () => Duration.seconds(30))
    return (addresses) => {
      const timeouts = Option.isSome(asked) ? shareOf(duration, addresses, race) : {}
      return Multiserver.dial(addresses, { plan: race ? "race" : "inOrder", timeout: duration, timeouts })
    }
  })

const parsedRetries = (text: string): Effect.Effect<number, UsageError> => {
  if (text === "forever") return Effect.succeed(Number.POSITIVE_INFINITY)
  if (/^[1-9]\d{0,5}$/.test(text)) return Effect.succeed(Number(text))
  return Effect.fail(new UsageError({ kind: "BadValue", message: "--retry takes a number of times, or forever" }))
}

/** The longest wait between two dials, in milliseconds. */
const longestWait = 60_000

/** As `Dial`, and reports when it dials again. */
export type DialAgain = (
  addresses: Address.MultiAddress
) => Effect.Effect<
  Connection.Connection,
  Address.AddressError | DialError,
  Multiserver.Multiserver | Scope.Scope | Reporter
>

/** `dial`, again and again when the flag asks for that. Each dial has the whole `--timeout`. */
export const dialAgain = (
  input: Input & { readonly retry: Option.Option<string> }
): Effect.Effect<DialAgain, UsageError> =>
  Effect.gen(function* () {
    const once = yield* dial(input)
    const most = Option.isSome(input.retry) ? yield* parsedRetries(input.retry.value) : 0
    const from =
      (attempt: number): DialAgain =>
      (addresses) =>
        Effect.catchTag(once(addresses), "DialError", (error) =>
          Effect.gen(function* () {
            if (attempt > most || !error.isRetryable) return yield* error
            // Spread, so that clients of a server that was away don't all come back at the same moment.
            const spread = 0.75 + (yield* Random.next) / 2
            const millis = Math.round(Math.min(longestWait, 1000 * 2 ** (attempt - 1)) * spread)
            const { message, reason } = failed(error)
            yield* report({ event: "retry", reason, message, attempt, millis })
            yield* Effect.sleep(millis)
            return yield* from(attempt + 1)(addresses)
          })
        )
    return from(1)
  })

const usesOf = (input: Input): ReadonlyArray<Used.Given> => [
  ...Used.given(input.socks.length > 0, "--socks", "an onion service", "onion"),
  ...Used.given(Option.isSome(input.proxy), "--proxy", "a ws or wss address", "ws", "wss"),
  ...Used.given(Option.isSome(input.tlsCa), "--tls-ca", "a wss address", "wss")
]

/** Fails if a given flag is for none of the addresses. */
export const checkUsed = (input: Input, addresses: Address.MultiAddress): Effect.Effect<void, UsageError> =>
  Used.check(usesOf(input), addresses, "dialed")

/** The same for commands that only dial. */
export const checkOwnUsed = (input: OwnInput, addresses: Address.MultiAddress): Effect.Effect<void, UsageError> => {
  const { origin } = input
  const uses = [
    ...usesOf(input),
    ...Tls.uses(input),
    ...Used.given(Option.isSome(origin), "--origin", "a ws or wss address", "ws", "wss")
  ]
  return Used.check(uses, addresses, "dialed")
}

/** Fails if the command speaks none of the addresses: for `bridge`, which dials them only later. */
export const checkSpoken = (addresses: Address.MultiAddress): Effect.Effect<void, DialError> => {
  const [{ stack }] = addresses
  return addresses.some(Spoken.speaks)
    ? Effect.void
    : Effect.fail(
        new DialError({ address: Address.format(addresses), reason: new Unsupported({ stack, spoken: Spoken.stacks }) })
      )
}

/** The options of the transports that the flags and the settings give. */
export const options = (
  input: Input,
  { tls }: Settings
): Effect.Effect<Stacks.Dialing, UsageError | LocalError, Needs> =>
  Effect.gen(function* () {
    const onion = yield* Socks.parse(input.socks)
    const proxies = yield* Proxy.parse(input.proxy)
    return { web: { ...(yield* Tls.trust(input.tlsCa, tls)), proxies }, onion }
  })

/** The same for `listen`, which dials only trackers and has no flags for that. */
export const trackerOptions = ({ tls }: Settings): Effect.Effect<Stacks.Dialing, UsageError | LocalError, Needs> =>
  Effect.map(Tls.trust(Option.none(), tls), (web) => ({ web, onion: {} }))

/** The same for commands that only dial. */
export const ownOptions = (
  input: OwnInput,
  settings: Settings
): Effect.Effect<Stacks.Dialing, UsageError | LocalError, Needs> =>
  Effect.gen(function* () {
    const { web, ...rest } = yield* options(input, settings)
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
