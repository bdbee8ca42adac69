/** The plan of a dial: from addresses to the candidates that are tried, in order. No I/O. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { type Address, format, type MultiAddress } from "../Address.ts"
import {
  type Attempt,
  type AttemptReason,
  DeniedByPolicy,
  DialDefect,
  Insecure,
  NotDialable,
  type TransportReason,
  Unsupported
} from "../DialError.ts"
import type { Environment } from "../Environment.ts"
import { formatPublicKey, type PublicKey } from "../Identity.ts"
import type { Link } from "../Link.ts"
import { allowAll } from "../Policy.ts"
import * as Stack from "../Stack.ts"
import type { DialOptions } from "../Transport.ts"

/**
 * The order in which addresses are dialed.
 *
 * - `inOrder`: one after another. The next address is dialed when one fails.
 * - `race`: several connect at once, cheaper transports first. Each attempt begins 250 ms after the one before it, or
 *   as soon as that one fails. Handshakes take turns: the next begins when the current one fails or has had one second.
 *   The handshake of an address with a seed runs alone.
 * - `strongest`: as `inOrder`, but what protects best first, and of equals the cheapest transport: `net~noise` before
 *   `net~shs`, and that before `ws~shs`.
 * - `firstUnderstood`: only the first address whose stack is spoken, as npm multiserver does.
 * - a function: takes the addresses that are understood and returns those to try, in order.
 *
 * @category models
 * @since 0.1.0
 */
export type DialPlan =
  | "inOrder"
  | "race"
  | "strongest"
  | "firstUnderstood"
  | ((understood: ReadonlyArray<Address>) => ReadonlyArray<Address>)

/** How long each step of an attempt may take, in milliseconds. */
export interface Times {
  readonly place: number
  readonly lookup: number
  readonly connect: number
  readonly handshake: number
}

/** What an attempt offers to its transport while it connects. */
export type Help = Pick<DialOptions, "lookingUp" | "spare">

/** An address that can be tried. */
export interface Candidate {
  readonly address: Address
  readonly stack: Stack.Stack
  readonly times: Times
  readonly connect: (help: Help) => Effect.Effect<Link, TransportReason, Scope.Scope>
  readonly upgrade: Stack.Upgrade
}

/**
 * How long each step of an attempt may take.
 *
 * @category options
 * @since 0.1.0
 */
export interface Timeouts {
  /** For the look-up of the host name. By default `Limits.lookup`. */
  readonly lookup?: Duration.Input
  /** For the transport to connect. The default is the transport's own: 6 seconds, or 60 over Tor. */
  readonly connect?: Duration.Input
  /** For all handshakes together. By default `Limits.handshake`. */
  readonly handshake?: Duration.Input
  /** Raises every default that is shorter than this. It changes no timeout that is set explicitly. */
  readonly atLeast?: Duration.Input
}

const timesOf = ({ limits }: Environment, { transport }: Stack.Stack, asked: Timeouts): Times => {
  const least = Duration.toMillis(asked.atLeast ?? 0)
  const millis = (own: Duration.Input | undefined, otherwise: Duration.Input) =>
    own === undefined ? Math.max(Duration.toMillis(otherwise), least) : Duration.toMillis(own)
  return {
    place: Duration.toMillis(limits.dialWait),
    lookup: millis(asked.lookup, limits.lookup),
    connect: millis(asked.connect, transport.connectTimeout),
    handshake: millis(asked.handshake, limits.handshake)
  }
}

/** The candidate for one address, or why there is none. */
const candidateFor = (
  environment: Environment,
  address: Address,
  { peer, timeouts }: Options
): Result.Result<Candidate, AttemptReason> => {
  const { dial: again, policy, resolve, stacks } = environment
  const stack = stacks.get(address.stack)
  if (stack === undefined) {
    return Result.fail(new Unsupported({ stack: address.stack, spoken: [...stacks.keys()] }))
  }
  if (!policy.mayDial(address, stack.transport.destination(address.transport))) {
    return Result.fail(new DeniedByPolicy({ detail: "may not dial this address" }))
  }
  const notDialable = (detail: string) => new NotDialable({ detail })
  if (peer !== undefined && !Stack.proves(stack, address.transforms, peer)) {
    return Result.fail(notDialable(`nothing in it proves the key ${formatPublicKey(peer)}`))
  }
  const permits = (ip: string) => policy.mayDialIp(ip, address)
  const dial = stack.transport.dial(address.transport)
  if (Result.isFailure(dial)) return Result.fail(notDialable(dial.failure))
  return Result.mapBoth(Stack.upgrade(stack, address, "outbound"), {
    onSuccess: (upgrade) => {
      const key = Stack.keyOf(stack, address.transforms)
      const authenticates = Stack.authenticates(stack)
      const connect = (help: Help) => dial.success({ permits, authenticates, key, dial: again, resolve, ...help })
      return { address, stack, times: timesOf(environment, stack, timeouts), connect, upgrade }
    },
    onFailure: ({ detail, why }) => (why === "insecure" ? new Insecure({ detail }) : notDialable(detail))
  })
}

/** The candidates whose addresses `choose` returns, in that order. */
const chosen = (
  choose: (understood: ReadonlyArray<Address>) => ReadonlyArray<Address>,
  candidates: ReadonlyArray<Candidate>
): ReadonlyArray<Candidate> => {
  const byAddress = new Map(candidates.map((candidate) => [candidate.address, candidate]))
  return choose(candidates.map(({ address }) => address)).flatMap((address) => byAddress.get(address) ?? [])
}

/** What a dial tries, and what it does not try. */
export interface Planned {
  /** In the order in which they are tried. */
  readonly candidates: ReadonlyArray<Candidate>
  /** The addresses that are not tried, and why. */
  readonly notTried: ReadonlyArray<Attempt>
}

const orderedByPolicy = ({ policy: { order } }: Environment, { candidates, notTried }: Planned): Planned => {
  if (order === allowAll.order) return { candidates, notTried }
  const ordered = chosen(order, candidates)
  const reason = new DeniedByPolicy({ detail: "its order leaves this address out" })
  return { candidates: ordered, notTried: [...notTried, ...leftOut(candidates, ordered, reason)] }
}

const byStrength = ({ stack: a }: Candidate, { stack: b }: Candidate): number =>
  Stack.strength(b) - Stack.strength(a) || a.transport.cost - b.transport.cost

const chosenByDial = (dialPlan: DialPlan, { candidates, notTried }: Planned): Planned => {
  switch (dialPlan) {
    case "inOrder":
      return { candidates, notTried }
    case "firstUnderstood":
      return { candidates: candidates.slice(0, 1), notTried }
    case "strongest":
      return { candidates: [...candidates].sort(byStrength), notTried }
    case "race":
      return { candidates: [...candidates].sort((a, b) => a.stack.transport.cost - b.stack.transport.cost), notTried }
    default: {
      const own = chosen(dialPlan, candidates)
      const reason = new NotDialable({ detail: "the plan of this dial leaves it out" })
      return { candidates: own, notTried: [...notTried, ...leftOut(candidates, own, reason)] }
    }
  }
}

const leftOut = (
  candidates: ReadonlyArray<Candidate>,
  tried: ReadonlyArray<Candidate>,
  reason: AttemptReason
): ReadonlyArray<Attempt> =>
  candidates
    .filter(({ address }) => !tried.some((other) => other.address === address))
    .map(({ address }) => ({ address: format(address), reason }))

/** What the caller of a dial asked for. */
interface Options {
  readonly plan: DialPlan
  readonly timeouts: Timeouts
  readonly peer: PublicKey | undefined
}

/** Which addresses fit a stack that is spoken, which ones policy allows, and in what order they are tried. */
export const planDial = (environment: Environment, addresses: MultiAddress, options: Options): Planned => {
  const notTried: Array<Attempt> = []
  const candidates: Array<Candidate> = []
  for (const address of addresses) {
    // The code of a protocol, such as its `notDialable` or the schema of its section, may throw.
    const asked = Result.try({
      try: () => candidateFor(environment, address, options),
      catch: (cause): AttemptReason => new DialDefect({ phase: "plan", cause })
    })
    const candidate = Result.flatMap(asked, (own) => own)
    if (Result.isSuccess(candidate)) candidates.push(candidate.success)
    else notTried.push({ address: format(address), reason: candidate.failure })
  }
  return chosenByDial(options.plan, orderedByPolicy(environment, { candidates, notTried }))
}
