/** Attacks on a handshake, by somebody who knows the app key. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checks } from "../checks.ts"
import { everywhere, type Scenario } from "../scenario.ts"
import { attacker, partsOf, type SiegeOptions, type Size, type StackName, siege, sum, type Tags } from "../world.ts"

const connections = Schema.Int
const strings = Schema.Array(Schema.String)

/**
 * The deadline is waited for: in the quick size it is shorter, and who is honest is far from it on a busy machine too.
 */
const deadlines = (size: Size): SiegeOptions =>
  size === "full" ? { size } : { size, env: { MULTISERVER_HANDSHAKE: "5 seconds" } }

/** An attack that runs to its end by itself. */
const attack = <A extends { readonly connections: number }, I>(
  stack: StackName,
  checks: Checks,
  name: string,
  order: object,
  result: Schema.Codec<A, I>,
  options: SiegeOptions
) =>
  siege(stack, checks, options, ({ address }) =>
    Effect.flatMap(attacker(name, { target: address, ...order }, result), (child) => child.result)
  )

/** None of the attackers may look like one that left well. */
const allBad = (checks: Checks, tags: Tags, but = 0) =>
  checks.holds((tags.end ?? 0) === but, `${tags.end} bad ends look like a clean one`)

const drip: Scenario = {
  name: "drip",
  asset: "availability",
  attacker: "network",
  threat: "slow loris: a peer sends a byte now and then, and its handshake stays open for ever",
  answer: "the whole handshake has one deadline of 10 s, whatever arrives",
  promise: "200 of 200 connections that drip are closed within 11 s",
  over: everywhere,
  second: "wss~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const order = size === "full" ? { count: 200, every: 500 } : { count: 20, every: 100 }
      const result = Schema.Struct({ connections, closed: Schema.Int, max: Schema.Int })
      const { attacked, served, tags } = yield* attack(stack, checks, "drip", order, result, deadlines(size))
      checks.holds(attacked.closed === order.count, `${attacked.closed} of ${order.count} were closed`)
      checks.inTime(attacked.max <= 11_000, `the last was closed after ${attacked.max} ms`)
      checks.holds(tags["handshake TimedOut"] === order.count, `they ended ${JSON.stringify(tags)}`)
      return checks.verdict(
        `${attacked.closed} of ${order.count} closed, the last after ${attacked.max} ms; honest p99 ${served.p99} ms`
      )
    })
}

const garbage: Scenario = {
  name: "garbage",
  asset: "availability",
  attacker: "network",
  threat:
    "a peer sends something that is no handshake: another protocol, too much, too little, another network's hello",
  answer:
    "the first message is verified before anything is computed or answered; every failure closes the connection without a word",
  promise: "18 kinds of garbage get 0 bytes in answer",
  second: "net~noise",
  hybrid: true,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const result = Schema.Struct({ connections, answered: strings })
      const order = { rounds: size === "full" ? 20 : 1 }
      const { attacked, tags } = yield* attack(stack, checks, "garbage", order, result, { size })
      checks.holds(attacked.answered.length === 0, attacked.answered.join(", "))
      allBad(checks, tags)
      return checks.verdict(`${attacked.connections} connections: 0 bytes answered, ${JSON.stringify(tags)}`)
    })
}

const cuts: Scenario = {
  name: "cuts",
  asset: "availability",
  attacker: "network",
  threat: "a connection breaks in the middle of its handshake, and its other end stays open",
  answer: "an end or a reset at any byte ends the handshake at once, with one event",
  promise: "a FIN or a RST at any byte of the handshake is noticed within 100 ms",
  over: everywhere,
  second: "net~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const result = Schema.Struct({
        connections,
        places: Schema.Int,
        unnoticed: Schema.Array(Schema.Int),
        p50: Schema.Int,
        max: Schema.Int
      })
      const { attacked, tags } = yield* attack(stack, checks, "cuts", { step: size === "full" ? 1 : 9 }, result, {
        size
      })
      checks.holds(attacked.unnoticed.length === 0, `not noticed at ${attacked.unnoticed.join(", ")}`)
      checks.inTime(attacked.max <= 100, `noticed after ${attacked.max} ms`)
      allBad(checks, tags)
      const { max, p50, places } = attacked
      return checks.verdict(`${places} FINs noticed after ${p50} ms, at most ${max} ms; ${places} RSTs`)
    })
}

const flips: Scenario = {
  name: "flips",
  asset: "integrity",
  attacker: "network",
  threat: "somebody on the way changes messages of the handshake",
  answer: "each message is authenticated as a whole; one that does not verify is not answered",
  promise:
    "a flip of any of the messages' 1,408 bits is refused with 0 bytes in answer; over ws also a flip of any bit in a frame's head, except of bits that only say that more is to come",
  over: everywhere,
  second: "net~noise",
  hybrid: true,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const result = Schema.Struct({
        connections,
        refused: Schema.Int,
        whole: Schema.Int,
        answered: Schema.Int,
        wrong: Schema.Array(Schema.Int)
      })
      const isNet = partsOf(stack).transport === "net"
      // The messages of noisepq are eight times as long.
      const order = { step: size === "full" ? 1 : stack === "net~noisepq" ? 199 : 23 }
      const options = isNet ? { size } : deadlines(size)
      const { attacked, tags } = yield* attack(stack, checks, "flips", order, result, options)
      const { answered, connections: came, refused, whole, wrong } = attacked
      const all = came - whole
      checks.holds(refused === all, `not refused: bits ${wrong.join(", ")}`)
      checks.holds(answered === 0, `${answered} bytes answered`)
      // A frame that has become longer, or a pong, leaves a message out for which is waited to the deadline.
      const ends = ["WrongNetwork", "PeerMisbehaved", ...(isNet ? [] : ["TimedOut"])]
      const known = ends.reduce((count, tag) => count + (tags[`handshake ${tag}`] ?? 0), 0)
      const open = sum(tags) - known
      checks.holds(open >= 0 && open <= whole, `they ended ${JSON.stringify(tags)}`)
      return checks.verdict(`${refused} of ${all} refused, ${answered} bytes answered`)
    })
}

const replays: Scenario = {
  name: "replays",
  asset: "identity",
  attacker: "network",
  threat: "an attacker sends again what an honest peer has sent, or sends the server's own messages back to it",
  answer: "fresh ephemeral keys on both sides are part of every signature and key",
  promise: "0 of 150 replays and reflections accepted",
  second: "net~noise",
  hybrid: true,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const result = Schema.Struct({ connections, attempts: Schema.Int, accepted: Schema.Int, honest: Schema.Int })
      const { attacked, tags } = yield* attack(stack, checks, "replays", { rounds: size === "full" ? 30 : 3 }, result, {
        size
      })
      checks.holds(attacked.accepted === 0, `${attacked.accepted} accepted`)
      allBad(checks, tags, attacked.honest)
      return checks.verdict(`${attacked.accepted} of ${attacked.attempts} accepted`)
    })
}

const degenerate: Scenario = {
  name: "degenerate keys",
  asset: "identity",
  attacker: "app-key holder",
  threat:
    "a peer sends points of small order, keys that are no point, or signatures that only a careless verifier accepts",
  answer:
    "one module has all primitives, and returns `undefined` for a shared secret of zeros and for every invalid point; then the peer is refused",
  promise: "26 of 26 kinds are refused, and the process lives",
  second: "net~noise",
  hybrid: true,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const result = Schema.Struct({ connections, kinds: Schema.Int, accepted: strings })
      const order = { rounds: size === "full" ? 20 : 2 }
      const { attacked, tags } = yield* attack(stack, checks, "degenerate", order, result, { size })
      checks.holds(attacked.accepted.length === 0, `accepted: ${attacked.accepted.join(", ")}`)
      checks.holds(tags["handshake PeerMisbehaved"] === attacked.connections, `they ended ${JSON.stringify(tags)}`)
      return checks.verdict(`${attacked.kinds} of ${attacked.kinds} kinds refused, ${attacked.connections} connections`)
    })
}

export const scenarios = [drip, garbage, cuts, flips, replays, degenerate]
