/**
 * A Multiserver that dials peers by their keys: `peer:KEY` stands for the addresses that `Lookup` finds for the key.
 *
 * Whoever answers is the peer: only addresses whose stack has the peer prove this key are dialed. But who is dialed on
 * the way is said by others, so there are rules for that: no private IPs, no ports of other services, and few attempts
 * for each IP (`Options`).
 */
import type * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "./Address.ts"
import type { Connection } from "./Connection.ts"
import { type Attempt, DialError, DialTimedOut, NotDialable } from "./DialError.ts"
import { tellEach } from "./guarded.ts"
import { type PublicKey, PublicKeyFromString } from "./Identity.ts"
import { inOwnScope } from "./inOwnScope.ts"
import { Lookup } from "./Lookup.ts"
import { addressesOf, type DialOptions, Multiserver } from "./Multiserver.ts"
import type { NetworkError } from "./Networks.ts"
import { Failures, Targets } from "./peerMultiserver/attempts.ts"
import { attemptsOf, failedWith, makeDialPeer, type Shared } from "./peerMultiserver/dialing.ts"
import { type Options as RuleOptions, rulesFor } from "./peerMultiserver/rules.ts"
import { positive } from "./positive.ts"

/**
 * The section of `peer:KEY`: a peer, wherever it is. It stands alone, because the peer's records say which protocols
 * are on top.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Peer: Schema.Codec<PublicKey, Address.Opaque> = Address.section("peer", PublicKeyFromString)

/**
 * The address of a peer, wherever it is: `peer:KEY`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const address = (key: PublicKey): Address.Address =>
  new Address.Address({ transport: Schema.encodeSync(Peer)(key), transforms: [] })

/**
 * Which of the addresses that are found are dialed, and how often.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends RuleOptions {
  /**
   * How many attempts one IP gets because records name it, of all dials together. By default 4 a minute. An attempt at
   * an IP at which the peer proves its key does not count.
   */
  readonly attempts?: { readonly most: number; readonly every: Duration.Input }
  /** For how long an address that has failed is tried after all others. By default one minute. */
  readonly failed?: Duration.Input
}

/**
 * A Multiserver that also dials `peer:KEY`, over another one and a `Lookup`. It first dials the addresses that are
 * known already, and looks the key up when they fail. When all that was found has failed, it looks up once more. Of the
 * addresses of a record it tries those first that protect best (the plan `strongest`), unless the dial has a plan. All
 * other addresses are dialed as by the Multiserver below, which also listens.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Lookup, NodeIdentity, NodeMultiserver, PeerMultiserver, Sodium } from "effect-multiserver/node"
 *
 * export const Live = PeerMultiserver.layer().pipe(
 *   Layer.provide(Lookup.layer([Lookup.fromFile("/etc/multiserver/records")])),
 *   Layer.provide(NodeMultiserver.layer()),
 *   Layer.provide([NodeIdentity.layerEphemeral, Sodium.layer])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Multiserver, NetworkError, Multiserver | Lookup> => {
  const { attempts = { most: 4, every: "1 minute" }, failed = "1 minute" } = options
  positive({ "attempts.most": attempts.most })
  return Layer.effect(
    Multiserver,
    Effect.gen(function* () {
      const below = yield* Multiserver
      const dial = makeDial({
        below,
        lookup: yield* Lookup,
        rules: yield* rulesFor(options, new Targets(attempts.most, Duration.toMillis(attempts.every))),
        failures: new Failures(Duration.toMillis(failed))
      })
      return { dial, listen: below.listen }
    })
  )
}

type Dialed = Effect.Effect<Connection, Address.AddressError | DialError, Scope.Scope>

const isPeer = ({ transport }: Address.Address): boolean => transport._tag === "opaque" && transport.name === "peer"

/** What is dialed at once: addresses as they are, or one peer. */
type Group = Arr.NonEmptyReadonlyArray<Address.Address>

/** Addresses beside each other that are none of `peer:KEY` stay together, so that a plan orders them. */
const grouped = (addresses: Address.MultiAddress): ReadonlyArray<Group> => {
  const groups: Array<[Address.Address, ...Array<Address.Address>]> = []
  for (const address of addresses) {
    const last = groups.at(-1)
    if (last === undefined || isPeer(address) || isPeer(last[0])) groups.push([address])
    else last.push(address)
  }
  return groups
}

const makeDial = (shared: Shared): Multiserver["Service"]["dial"] => {
  const { below } = shared
  const dialPeer = makeDialPeer(shared)

  const dialGroup = (group: Group, options: DialOptions): Dialed => {
    const [first] = group
    if (!isPeer(first)) return below.dial(group, options)
    const key = Schema.decodeUnknownResult(Peer)(first.transport)
    if (first.transforms.length === 0 && Result.isSuccess(key)) return dialPeer(key.success, options)
    const detail = "write peer:KEY, with base64 of a 32-byte public key and nothing after it"
    return Effect.fail(new DialError({ address: Address.format(first), reason: new NotDialable({ detail }) }))
  }

  /** One group after another. `failed` collects what has been tried. */
  const inOrder = (
    target: string,
    [group, ...rest]: ReadonlyArray<Group>,
    options: DialOptions,
    failed: Array<Attempt>
  ): Dialed =>
    group === undefined
      ? Effect.suspend(() => Effect.fail(failedWith(target, failed)))
      : Effect.catchTag(dialGroup(group, options), "DialError", (error) => {
          failed.push(...attemptsOf(error))
          return inOrder(target, rest, options, failed)
        })

  return (target, options = {}) =>
    Effect.suspend((): Dialed => {
      const parsed = addressesOf(target)
      if (Result.isFailure(parsed)) return Effect.fail(parsed.failure)
      const addresses = parsed.success
      if (!addresses.some(isPeer)) return below.dial(addresses, options)
      const { onFailed, timeout, ...others } = options
      const text = Address.format(addresses)
      const failed: Array<Attempt> = []
      const noting = { ...others, onFailed: (attempt: Attempt) => void failed.push(attempt) }
      const tried = Effect.tap(inOrder(text, grouped(addresses), noting, failed), () =>
        tellEach("onFailed", onFailed, failed)
      )
      return timeout === undefined ? tried : within(text, timeout, tried)
    })
}

/** Fails when the time has passed. A connection that was opened at that very moment is closed. */
const within = (address: string, timeout: Duration.Input, tried: Dialed): Dialed => {
  const millis = Math.max(0, Duration.toMillis(timeout))
  const orElse = () => Effect.fail(new DialError({ address, reason: new DialTimedOut({ phase: "dial", millis }) }))
  return Effect.map(inOwnScope(Effect.timeoutOrElse(tried, { duration: millis, orElse })), ({ value }) => value)
}
