/** One dial of a peer by its key: known addresses first, then what the sources find. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Address from "../Address.ts"
import type { Connection } from "../Connection.ts"
import { AllFailed, type Attempt, DialError, NotDialable, Other } from "../DialError.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"
import { inOwnScope } from "../inOwnScope.ts"
import type { Found, Lookup, LookupError } from "../Lookup.ts"
import type { DialOptions, Multiserver } from "../Multiserver.ts"
import { monotonicMillis } from "../monotonic.ts"
import { both } from "../Policy.ts"
import { printable } from "../printable.ts"
import type { Failures } from "./attempts.ts"
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

/** What was found, as addresses that are tried for the first time in this dial: at most one for each text. */
const newAddresses = (found: Found, seen: Set<string>, failed: Array<Attempt>): ReadonlyArray<Address.Address> => {
  const addresses: Array<Address.Address> = []
  for (const text of found.addresses) {
    if (seen.has(text)) continue
    seen.add(text)
    const not = (address: string, detail: string) => failed.push({ address, reason: new NotDialable({ detail }) })
    const parsed = Address.parse(text)
    if (Result.isFailure(parsed)) {
      not(printable(text, 200), parsed.failure.message)
      continue
    }
    const [only, ...others] = parsed.success
    if (others.length > 0) not(Address.format(only), "these are several addresses: a source lists each by itself")
    // With a seed of others, the peer would take this dialer for the one whom they chose.
    else if (Address.hasSecret(only)) not(Address.format(only), "it has a seed or token, which is not the dialer's own")
    else addresses.push(only)
  }
  return addresses
}

/**
 * The most records and announcements of one source that one search follows, so that none can use up the place of the
 * others. Each has at most 8 addresses.
 */
const mostOfSource = 8

/** Whether what was found is not one too many of its source. */
const makeShares = () => {
  const followed = new Map<string, number>()
  return ({ source }: Found): boolean => {
    const count = (followed.get(source) ?? 0) + 1
    followed.set(source, count)
    return count <= mostOfSource
  }
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
      const scope = yield* Effect.scope
      const now = () => monotonicMillis(clock)
      const failed: Array<Attempt> = []
      const seen = new Set<string>()

      const remember = (attempt: Attempt) => {
        failures.add(attempt.address, now())
        failed.push(attempt)
      }
      const connected = (connection: Connection) => {
        for (const attempt of failed) onFailed?.(attempt)
        return connection
      }
      const rulesOf = (near: boolean) => (policy === undefined ? rules(near, now) : both(policy, rules(near, now)))

      const dial = (
        addresses: ReadonlyArray<Address.Address>,
        near: boolean
      ): Effect.Effect<Option.Option<Connection>> =>
        addresses.length === 0
          ? Effect.succeedNone
          : below.dial(addresses, { ...options, plan, peer: key, policy: rulesOf(near), onFailed: remember }).pipe(
              Effect.provideService(Scope.Scope, scope),
              Effect.tap(({ remote }) => Effect.sync(() => failures.forget(Address.format(remote)))),
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
      const follow = (found: Found) =>
        Effect.suspend(() => {
          const addresses = newAddresses(found, seen, failed)
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

      const searched = Stream.suspend(() => Stream.filter(lookup.search(key), makeShares())).pipe(
        Stream.mapEffect(follow),
        Stream.filter(Option.isSome),
        Stream.runHead,
        Effect.map(Option.flatten)
      )
      const found = yield* Effect.result(searched)
      if (Result.isSuccess(found) && Option.isSome(found.success)) return connected(found.success.value)
      if (failed.length === 0) {
        const failure = Result.isFailure(found) ? found.failure : undefined
        return yield* new DialError({ address: target, reason: notFound(failure) })
      }
      // The peer may have moved while its old addresses were tried.
      const again = yield* Effect.orElseSucceed(searched, Option.none)
      if (Option.isSome(again)) return connected(again.value)
      return yield* failedWith(target, failed)
    }).pipe(
      // A connection may be open while the sources are still being ended: if that is interrupted, it is closed.
      inOwnScope,
      Effect.map(({ value }) => value)
    )
