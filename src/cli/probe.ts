/** `multiserver probe`: whether a peer can be reached, how long each step takes, and who it is. */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Address from "../Address.ts"
import type { Connection } from "../Connection.ts"
import * as NodeKem from "../crypto/NodeKem.ts"
import * as Sodium from "../crypto/Sodium.ts"
import { AllFailed, DialError } from "../DialError.ts"
import * as Events from "../Events.ts"
import { formatPublicKey } from "../Identity.ts"
import { manyLines, printableJson } from "../printable.ts"
import * as Addresses from "./addresses.ts"
import * as Dialing from "./dialing.ts"
import { type Failed, failed } from "./events.ts"
import * as Finding from "./finding.ts"
import type * as Flags from "./flags.ts"
import * as Keys from "./keys.ts"
import { Reporter, report } from "./reporter.ts"
import * as Settings from "./settings.ts"
import * as Stacks from "./stacks.ts"

/** The `Connected` event of each connection, by its remote address: a race may open several connections. */
type Opened = Map<string, Events.Connected>

/**
 * The peer's address as it was reached, the key that it proved, and how long it took to connect and to shake hands.
 */
const reached = ({ peer, remote }: Connection, opened: Opened) => {
  const { connectMillis = 0, millis = 0 } = opened.get(Address.format(remote)) ?? {}
  return {
    reached: true as const,
    stack: remote.stack,
    remote: Address.format(remote),
    peer: peer._tag === "Authenticated" ? formatPublicKey(peer.publicKey) : null,
    connectMillis,
    handshakeMillis: Math.max(0, millis - connectMillis),
    millis
  }
}

/** The result of one dial: the JSON of docs/cli.md. */
type Probed = { readonly address: string; readonly millis: number } & (
  | ReturnType<typeof reached>
  | ({ readonly reached: false } & Failed)
)

const row = (name: string, value: string): string => `  ${name.padEnd(9)} ${value}`

/** As a person reads it. */
const format = (probed: Probed): string => {
  const { address, millis } = probed
  if (!probed.reached) return `${address}\n${row("failed", `after ${millis} ms: ${probed.message}`)}`
  const { connectMillis, handshakeMillis, peer, remote, stack } = probed
  return [
    address,
    row("connect", `${connectMillis} ms`),
    ...(stack.includes("~") ? [row("handshake", `${handshakeMillis} ms`)] : []),
    row("remote", remote),
    row("peer", peer ?? "not authenticated")
  ].join("\n")
}

/** The error of several dials that have all failed. */
const allFailed = (addresses: Address.MultiAddress, errors: ReadonlyArray<DialError>): DialError => {
  const [only] = errors
  if (only !== undefined && errors.length === 1) return only
  const attempts = errors.flatMap(({ address, reason }) =>
    reason._tag === "AllFailed" ? reason.attempts : [{ address, reason }]
  )
  return new DialError({ address: Address.format(addresses), reason: new AllFailed({ attempts }) })
}

/** Dials, prints the result, and closes with a goodbye. The value is the list of errors: one, or none. */
const probeOne = (dial: Dialing.Dial, opened: Opened) => (target: Address.MultiAddress) =>
  Effect.gen(function* () {
    const { json } = yield* Reporter
    const [taken, outcome] = yield* Effect.timed(
      dial(target).pipe(
        Effect.scoped,
        Effect.catchTag("DialError", (error) => Effect.succeed(error))
      )
    )
    const address = Address.format(target)
    const probed: Probed =
      outcome instanceof DialError
        ? { address, reached: false, ...failed(outcome), millis: Math.floor(Duration.toMillis(taken)) }
        : { address, ...reached(outcome, opened) }
    yield* Console.log(json ? printableJson(probed) : manyLines(format(probed)))
    return outcome instanceof DialError ? [outcome] : []
  })

export const run = (input: Flags.Input<typeof Flags.ofProbe>) =>
  Effect.gen(function* () {
    const settings = yield* Settings.read("probe")
    const dial = yield* Dialing.dial(input)
    const { addresses, exposed } = yield* Addresses.given(Option.toArray(input.address), input.addressFile)
    const appKey = yield* Keys.appKey(input, settings.appKey)
    const options = yield* Dialing.ownOptions(input, settings)
    yield* Dialing.checkOwnUsed(input, addresses)
    const finding = yield* Finding.read(input, addresses)
    if (exposed || finding.exposed) yield* report(Addresses.exposedWarning)

    const opened: Opened = new Map()
    const events: Events.Sink = (event) =>
      Effect.sync(() => {
        if (event._tag === "Connected") opened.set(event.remote, event)
      })
    const targets = input.race ? [addresses] : addresses.map((each): Address.MultiAddress => [each])
    const errors = yield* Effect.forEach(targets, probeOne(dial, opened)).pipe(
      Effect.provide(
        finding
          .over(Stacks.layer({ ...options, appKey }), appKey)
          .pipe(
            Layer.provide([
              Keys.identity(input.keyFile, settings.keyFile),
              Settings.layer(settings),
              Events.layer(events)
            ]),
            Layer.provide([Sodium.layer, NodeKem.layer])
          )
      )
    )
    if (errors.flat().length === targets.length) return yield* allFailed(addresses, errors.flat())
  })
