/** One dial of a peer by its key: known addresses first, then what the sources find. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type { Connection } from "../Connection.ts"
import { AllFailed, type Attempt, DialError, NotDialable, Other } from "../DialError.ts"
import { tellEach } from "../guarded.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"
import { inOwnScope } from "../inOwnScope.ts"
import type { Found, Lookup, LookupError } from "../Lookup.ts"
import type { DialOptions, Multiserver } from "../Multiserver.ts"
import { monotonicMillis } from "../monotonic.ts"
import { both } from "../Policy.ts"
import { printable } from "../printable.ts"
import type { Failures } from "./attempts.ts"
import { type Follow, firstOf } from "./lanes.ts"
import type { Rules } from "./rules.ts"

/** What all dials share. */
export interface Shared {
  readonly below: Multiserver["Service"]
  readonly lookup: Lookup["Service"]
  readonly rules: Rules
  readonly failures: Failures
}

/** Dials a peer. `key` is that of the address `peer:KEY`. */
export type DialPeer = (key: PublicKey, options: DialOptions) => Effect.Effect<Connection, DialError, Scope.Scope>

/** The attempts of a dial that failed. */
export const attemptsOf = ({ address, reason }: DialError): ReadonlyArray<Attempt> =>
  reason._tag === "AllFailed" ? reason.attempts : [{ address, reason }]

/** The error of a dial whose attempts have all failed. */
export const failedWith = (target: string, attempts: ReadonlyArray<Attempt>): DialError => {
  const [only] = attempts
  if (only !== undefined && attempts.length === 1) return new DialError(only)
  return new DialError({ address: target, reason: new AllFailed({ attempts }) })
}

const notFound = (failure: LookupError | undefined): Other =>
  failure === undefined
    ? new Other({
        code: "NotFound",
        detail: "none of the sources of Lookup.layer([...]) knows an address of this peer",
        isRetryable: true
      })
    : new Other({ code: "LookupFailed", detail: failure.message, isRetryable: failure.isRetryable, cause: failure })

/** What was found, as addresses that this dial has not failed at before: at most one for each text. */
const newAddresses = (found: Found, failed: Array<Attempt>): ReadonlyArray<Address.Address> => {
  const addresses: Array<Address.Address> = []
  const before = new Set(failed.map(({ address }) => address))
  const not = (address: string, detail: string) => {
    if (!before.has(address)) failed.push({ address, reason: new NotDialable({ detail }) })
  }
  for (const text of new Set(found.addresses)) {
    const parsed = Address.parse(text)
    if (Result.isFailure(parsed)) {
      not(printable(text, 200), parsed.failure.message)
      continue
    }
    const [only, ...others] = parsed.success
    if (others.length > 0) not(Address.format(only), "these are several addresses: a source lists each by itself")
    // With a seed of others, the peer would take this dialer for the one whom they chose.
    else if (Address.hasSecret(only)) not(Address.format(only), "it has a seed or token, which is not the dialer's own")
    else if (!before.has(Address.format(only))) addresses.push(only)
  }
  return addresses
}

export const makeDialPeer =
  ({ below, failures, lookup, rules }: Shared): DialPeer =>
  (key, { onFailed, plan = "strongest", policy, ...options }) =>
    Effect.gen(function* () {
      const target = `peer:${formatPublicKey(key)}`
      if (options.peer !== undefined && formatPublicKey(options.peer) !== formatPublicKey(key)) {
        const reason = new NotDialable({ detail: "the dial asks for the key of another peer" })
        return yield* new DialError({ address: target, reason })
      }
      const clock = yield* Clock.Clock
      const now = () => monotonicMillis(clock)
      const failed: Array<Attempt> = []

      const remember = (attempt: Attempt) => {
        failures.add(attempt.address, now())
        failed.push(attempt)
      }
      const connected = (connection: Connection) => Effect.as(tellEach("onFailed", onFailed, failed), connection)
      const rulesOf = (near: boolean) =>
        policy === undefined ? rules.of(near, now) : both(policy, rules.of(near, now))

      const dial = (
        addresses: ReadonlyArray<Address.Address>,
        near: boolean
      ): Effect.Effect<Option.Option<Connection>, never, Scope.Scope> =>
        addresses.length === 0
          ? Effect.succeedNone
          : below.dial(addresses, { ...options, plan, peer: key, policy: rulesOf(near), onFailed: remember }).pipe(
              Effect.tap(({ remote }) =>
                Effect.sync(() => {
                  failures.forget(Address.format(remote))
                  rules.hasConnected(remote)
                })
              ),
              Effect.asSome,
              Effect.catchTag("DialError", (error) =>
                Effect.sync(() => {
                  attemptsOf(error).forEach(remember)
                  return Option.none()
                })
              ),
              // The addresses are parsed, and at most 8: there is no such error.
              Effect.catchTag("AddressError", Effect.die)
            )

      /** Those that have failed lately are tried after the others. */
      const follow: Follow = (found) =>
        Effect.suspend(() => {
          const addresses = newAddresses(found, failed)
          const isLate = (address: Address.Address) => failures.has(Address.format(address), now())
          const late = addresses.filter(isLate)
          const first = dial(
            addresses.filter((address) => !late.includes(address)),
            found.near
          )
          return Effect.flatMap(first, (connected) =>
            Option.isSome(connected) ? Effect.succeed(connected) : dial(late, found.near)
          )
        })

      const searched = firstOf(lookup.search(key), follow)
      const found = yield* Effect.result(searched)
      if (Result.isSuccess(found) && Option.isSome(found.success)) return yield* connected(found.success.value)
      if (failed.length === 0) {
        const failure = Result.isFailure(found) ? found.failure : undefined
        return yield* new DialError({ address: target, reason: notFound(failure) })
      }
      // The peer may have moved while its old addresses were tried.
      const again = yield* Effect.orElseSucceed(searched, Option.none)
      if (Option.isSome(again)) return yield* connected(again.value)
      return yield* failedWith(target, failed)
    }).pipe(
      // A connection may be open while the sources are still being ended: if that is interrupted, it is closed.
      inOwnScope,
      Effect.map(({ value }) => value)
    )
