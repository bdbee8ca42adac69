/**
 * Dialing: from addresses to a connection.
 *
 * Plan: which addresses fit a stack that is spoken, and what policy says; no I/O. Then each attempt, in a scope and with
 * deadlines of its own: the transport's dial, then each transform. The first that succeeds is the connection; a failed or
 * interrupted attempt has left nothing.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { type Address, format, type MultiAddress } from "./Address.ts"
import type * as Connection from "./Connection.ts"
import {
  AllFailed,
  type AttemptReason,
  DeniedByPolicy,
  DialError,
  DialTimedOut,
  Insecure,
  NotDialable,
  type TransportReason,
  Unsupported
} from "./DialError.ts"
import type * as Events from "./Events.ts"
import { inOwnScope } from "./internal/inOwnScope.ts"
import { observed } from "./internal/observed.ts"
import type { LimitValues } from "./Limits.ts"
import type { PolicyRules } from "./Policy.ts"
import * as Stack from "./Stack.ts"

/** What a Multiserver dials and listens with. */
export interface Environment {
  readonly stacks: ReadonlyMap<string, Stack.Stack>
  readonly policy: PolicyRules
  readonly limits: LimitValues
  readonly emit: Events.Sink
}

export interface DialOptions {
  /** `inOrder`: the next address when one fails. `firstUnderstood`: only the first whose stack is spoken. */
  readonly plan?: "inOrder" | "firstUnderstood"
}

// -----------------------------------------------------------------------------
// plan
// -----------------------------------------------------------------------------

/** An address that can be tried. */
interface Candidate {
  readonly stack: Stack.Stack
  readonly connect: Effect.Effect<Connection.Connection, TransportReason, Scope.Scope>
  readonly upgrade: Stack.Upgrade
}

/** What becomes of one address before anything is done. */
const plan = ({ policy, stacks }: Environment, address: Address): Result.Result<Candidate, AttemptReason> => {
  const stack = stacks.get(address.stack)
  if (stack === undefined) {
    return Result.fail(new Unsupported({ stack: address.stack, spoken: [...stacks.keys()] }))
  }
  if (!policy.mayDial(address)) return Result.fail(new DeniedByPolicy({ detail: "may not dial this address" }))
  const notDialable = (detail: string) => new NotDialable({ detail })
  const permits = (ip: string) => policy.mayDialIp(ip, address)
  return Result.gen(function* () {
    const dial = yield* Result.mapError(stack.transport.dial(address.transport), notDialable)
    const upgrade = yield* Result.mapError(Stack.upgrade(stack, address, "outbound"), ({ detail, why }) =>
      why === "insecure" ? new Insecure({ detail }) : notDialable(detail)
    )
    return { stack, connect: dial({ permits, authenticates: Stack.authenticates(stack) }), upgrade }
  })
}

// -----------------------------------------------------------------------------
// attempt
// -----------------------------------------------------------------------------

const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  duration: Duration.Duration,
  phase: "connect" | "handshake"
): Effect.Effect<A, E | DialTimedOut, R> =>
  Effect.timeoutOrElse(effect, {
    duration,
    orElse: () => Effect.fail(new DialTimedOut({ phase, millis: Duration.toMillis(duration) }))
  })

const attempt = (
  { emit, limits }: Environment,
  { connect, stack, upgrade }: Candidate
): Effect.Effect<Connection.Connection, AttemptReason, Scope.Scope> =>
  within(connect, stack.transport.connectTimeout, "connect").pipe(
    Effect.flatMap((transport) => within(upgrade(transport), limits.handshake, "handshake")),
    (open) => observed({ emit, role: "dial", stack: stack.name }, open),
    inOwnScope,
    Effect.map(({ value }) => value)
  )

// -----------------------------------------------------------------------------
// dial
// -----------------------------------------------------------------------------

/** Dials addresses of one peer, in order of preference. */
export const dial = (
  environment: Environment,
  addresses: MultiAddress,
  options: DialOptions = {}
): Effect.Effect<Connection.Connection, DialError, Scope.Scope> =>
  Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    const failed: Array<AllFailed["attempts"][number]> = []
    let tried: AllFailed["attempts"][number] | undefined
    let tries = 0
    for (const address of addresses) {
      const candidate = plan(environment, address)
      if (Result.isSuccess(candidate)) tries++
      const outcome = yield* Effect.fromResult(candidate).pipe(
        Effect.flatMap((each) => attempt(environment, each)),
        Effect.result
      )
      if (Result.isSuccess(outcome)) return outcome.success
      const failure = { address: format(address), reason: outcome.failure }
      failed.push(failure)
      if (Result.isSuccess(candidate)) tried = failure
      if (options.plan === "firstUnderstood" && outcome.failure._tag !== "Unsupported") break
    }
    const single = tries === 1 ? tried : failed.length === 1 ? failed[0] : undefined
    const error =
      single === undefined
        ? new DialError({ address: format(addresses), reason: new AllFailed({ attempts: failed }) })
        : new DialError(single)
    const millis = (yield* Clock.currentTimeMillis) - started
    yield* environment.emit({ event: "dial-failed", error, millis })
    return yield* error
  })
