/** What `connect`, `probe` and `bridge` share: how they dial. */
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type * as Connection from "../Connection.ts"
import { DialError, Unsupported } from "../DialError.ts"
import type { Timeouts } from "../Dialer.ts"
import * as Multiserver from "../Multiserver.ts"
import * as Durations from "./durations.ts"
import { type LocalError, UsageError } from "./exit.ts"
import type { Needs } from "./files.ts"
import * as Origins from "./origins.ts"
import * as Proxy from "./proxy.ts"
import * as Socks from "./socks.ts"
import * as Stacks from "./stacks.ts"
import * as Tls from "./tls.ts"

/** For all who dial. */
export const flags = {
  timeout: Flag.String("timeout").pipe(
    Flag.withMetavar("DURATION"),
    Flag.withDescription(
      "For all attempts together, such as 500ms, 10s or 2m (default: 30s); a longer one gives each step its time"
    ),
    Flag.optional
  ),
  race: Flag.Boolean("race").pipe(
    Flag.withDescription("Try several addresses at once and take the first that answers, instead of one after another"),
    Flag.withDefault(false)
  ),
  tlsCa: Tls.caFlag,
  socks: Socks.flag,
  proxy: Proxy.flag
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
 * What each step of an attempt may take, where that is more than it has by itself. Addresses that are dialed one after
 * another share the time, so that a silent one does not take that of the others.
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

/** What each flag is for. */
const uses = {
  socks: { flag: "--socks", of: "an onion service", transports: ["onion"] },
  proxy: { flag: "--proxy", of: "a ws or wss address", transports: ["ws", "wss"] },
  tlsCa: { flag: "--tls-ca", of: "a wss address", transports: ["wss"] }
} as const

/** Fails when a flag is given that no address has a use for: what was meant by it would not happen, in silence. */
export const checkUsed = (input: Input, addresses: Address.MultiAddress): Effect.Effect<void, UsageError> => {
  const given = { socks: input.socks.length > 0, proxy: Option.isSome(input.proxy), tlsCa: Option.isSome(input.tlsCa) }
  const isUsed = (transports: ReadonlyArray<string>) =>
    addresses.some(({ transport }) => transports.includes(transport._tag))
  for (const name of ["socks", "proxy", "tlsCa"] as const) {
    const { flag, of, transports } = uses[name]
    if (!given[name] || isUsed(transports)) continue
    const message = `${flag} is for ${of}, and none is dialed here: leave it out, or give such an address`
    return Effect.fail(new UsageError({ kind: "Conflict", message }))
  }
  return Effect.void
}

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
  Effect.gen(function* () {
    const onion = yield* Socks.parse(input.socks)
    const proxies = yield* Proxy.parse(input.proxy)
    return { web: { ...(yield* Tls.trust(input.tlsCa)), proxies }, onion }
  })

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
