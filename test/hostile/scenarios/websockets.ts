/** What HTTP and the frames of WebSockets allow besides: before there is a connection, and below it. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checks } from "../checks.ts"
import type { Scenario } from "../scenario.ts"
import { attacker, type Served, type Size, type StackName, settled, siege, type Target, webSockets } from "../world.ts"

const connections = Schema.Int
const strings = Schema.Array(Schema.String)
const tail = 500
const mebibytes = (bytes: number) => Math.round(bytes / 1024 / 1024)
const spoken = ({ exchanges, failures, p50, p99 }: Served) =>
  `honest ${exchanges} of ${exchanges + failures.length}, p50 ${p50} ms, p99 ${p99} ms`

/** An attack that runs to its end by itself. */
const run = <A, I>(name: string, { address }: Target, order: object, result: Schema.Codec<A, I>) =>
  Effect.flatMap(attacker(name, { target: address, ...order }, result), (child) => child.result)

/** So few that who is not given back is missed soon. */
const places = 64

const ports: Scenario = {
  name: "requests from the same port",
  asset: "availability",
  attacker: "network",
  threat: "requests that never upgrade are reset, and come again from the same port before the server notices",
  answer: "a place belongs to its socket, over wss to the socket below TLS, and is free when that socket is gone",
  promise: "after 5,000 requests that never upgrade and come again, each of 64 places is free",
  over: webSockets,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const env = { MULTISERVER_CONNECTIONS: `${places}` }
      let free = 0
      const { attacked, served } = yield* siege(stack, checks, { size, env }, (target, honest) =>
        Effect.gen(function* () {
          const result = Schema.Struct({ connections, again: Schema.Int })
          const order = { count: size === "full" ? 5000 : 240, workers: 16 }
          const attacked = yield* run("ports", target, order, result)
          yield* honest.stop
          yield* settled(target.counts)
          const all = Schema.Struct({ connections, refused: Schema.Int, lost: Schema.Int })
          const idle = yield* attacker("idle", { target: target.address, count: places, atOnce: 1 }, all)
          yield* idle.says
          yield* idle.stop
          const { connections: connected, refused } = yield* idle.result
          free = connected
          return { ...attacked, connections: attacked.connections + free + refused }
        })
      )
      checks.holds(free === places, `${places - free} of ${places} places are taken by nobody`)
      checks.holds(attacked.again > 0, "no port was used again")
      return checks.verdict(
        `${attacked.again} came again, ${free} of ${places} places free; honest p99 ${served.p99} ms`
      )
    })
}

const refused: Scenario = {
  name: "requests that are refused",
  asset: "availability",
  attacker: "network",
  threat: "requests that the server must refuse, with other requests behind them on the same connection",
  answer: "a request that is refused is the last one of its connection, and has an event with its reason",
  promise: "of 14 kinds of such requests, none is let in, and none stays open",
  over: webSockets,
  second: "wss~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const result = Schema.Struct({ connections, kinds: Schema.Int, letIn: strings, stay: strings })
      const order = { rounds: size === "full" ? 10 : 2 }
      const siegeOf = siege(stack, checks, { size }, (target) => run("refused", target, order, result))
      const { attacked, refused, served, tags } = yield* siegeOf
      checks.holds(attacked.letIn.length === 0, `let in: ${attacked.letIn.join(", ")}`)
      checks.holds(attacked.stay.length === 0, `not ended: ${attacked.stay.join(", ")}`)
      checks.holds((tags.end ?? 0) === 0, `${tags.end} look like a clean end`)
      return checks.verdict(
        `${attacked.kinds} kinds, ${attacked.connections} connections: ${JSON.stringify({ ...tags, ...refused })}; honest p99 ${served.p99} ms`
      )
    })
}

const frameKinds = [
  "pings",
  "pings whose pongs are not read",
  "pongs",
  "empty messages",
  "messages of one byte",
  "fragments of one byte",
  "empty fragments"
]

/** What 16 of them may make a server hold. */
const heldByAll = 64 * 1024 * 1024

const Flooded = Schema.Struct({ connections, cut: Schema.Int, bytes: Schema.Int })

/** One kind after the other, and what the server holds more in the end. */
const flooded = (target: Target, kinds: ReadonlyArray<string>, size: Size) =>
  Effect.gen(function* () {
    const before = yield* target.memory
    let all = { connections: 0, cut: 0, bytes: 0, held: 0 }
    for (const kind of kinds) {
      const order = { target: target.address, kind, count: size === "full" ? 16 : 4 }
      const child = yield* attacker("frames", order, Flooded)
      yield* child.says
      yield* Effect.sleep(size === "full" ? "4 seconds" : "100 millis")
      const { heap } = yield* target.memory
      yield* child.stop
      const { bytes, connections, cut } = yield* child.result
      all = {
        connections: all.connections + connections,
        cut: all.cut + cut,
        bytes: all.bytes + bytes,
        held: Math.max(all.held, heap - before.heap)
      }
    }
    return all
  })

const frames: Scenario = {
  name: "frames of next to nothing",
  asset: "availability",
  attacker: "authenticated peer",
  threat: "frames that cost more to read than to send keep the process from serving others",
  answer:
    "a socket's turn is limited whatever its frames are; a peer whose pings come faster than the pongs go out is cut off",
  promise: `an honest client's p99 is under 500 ms beside 16 connections that send, as fast as they can, ${frameKinds.join(", ")}`,
  over: webSockets,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const measured: Array<string> = []
      const beside = (kinds: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const { attacked, served } = yield* siege(stack, checks, { size }, (target) => flooded(target, kinds, size))
          const what = kinds.join(", ")
          checks.inTime(served.p99 < tail, `${what}: the honest p99 was ${served.p99} ms`)
          const held = mebibytes(attacked.held)
          checks.inTime(attacked.held <= heldByAll, `${what}: ${held} MiB are held`)
          const cut = attacked.cut > 0 ? `, ${attacked.cut} cut off` : ""
          measured.push(`${what}: p50 ${served.p50} ms, p99 ${served.p99} ms${cut}`)
        }).pipe(Effect.scoped)
      if (size === "full") yield* Effect.forEach(frameKinds, (kind) => beside([kind]), { discard: true })
      else yield* beside(frameKinds)
      return checks.verdict(measured.join("; "))
    })
}

/** A peer has a second for its answer; and a busy machine some time more. */
const latest = 3000

const closes: Scenario = {
  name: "Close",
  asset: "availability",
  attacker: "network, authenticated peer",
  threat: "a Close that is invalid, is not answered, or is followed by more, keeps a connection open for ever",
  answer:
    "a second after a Close, in either direction, the connection is ended; what arrives in that second is dropped",
  promise: "each of 16 kinds of Close, before the handshake and after it, ends in a typed error within 3 s",
  over: webSockets,
  second: "wss~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const result = Schema.Struct({
        connections,
        kinds: Schema.Int,
        stay: strings,
        p50: Schema.Int,
        max: Schema.Int
      })
      const order = { rounds: size === "full" ? 10 : 1 }
      const siegeOf = siege(stack, checks, { size }, (target) => run("closes", target, order, result))
      const { attacked, served, tags } = yield* siegeOf
      checks.holds(attacked.stay.length === 0, `not ended: ${attacked.stay.join(", ")}`)
      checks.holds((tags.end ?? 0) === 0, `${tags.end} look like a clean end`)
      checks.inTime(attacked.max <= latest, `the last was ended after ${attacked.max} ms`)
      return checks.verdict(
        `${attacked.kinds} kinds, ${attacked.connections} connections: ended after ${attacked.p50} ms, at most ${attacked.max} ms: ${JSON.stringify(tags)}; honest p99 ${served.p99} ms`
      )
    })
}

/** As many as one source may have, and as long as a message may be. */
const [fromOneSource, longest] = [64, 16 * 1024 * 1024]
/** What all of them may make the process larger by: a quarter of what they send. */
const mostGrown = 256 * 1024 * 1024

const large: Scenario = {
  name: "large messages",
  asset: "availability",
  attacker: "network",
  threat: "messages that nobody reads, or whose last byte never arrives, fill the memory",
  answer: "the bytes that wait in all connections together are limited",
  promise: "64 connections on bare ws, each with an unread message of 16 MiB, make the process at most 256 MiB larger",
  over: ["ws", "wss"],
  second: "wss",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const full = size === "full"
      const order = full ? { count: fromOneSource, length: longest } : { count: 8, length: 1024 * 1024 }
      let grown = 0
      let cut: unknown
      const { served } = yield* siege(stack, checks, { size }, (target) =>
        Effect.gen(function* () {
          const before = yield* target.memory
          const child = yield* attacker("large", { target: target.address, ...order }, Schema.Struct({ connections }))
          cut = (yield* child.says).cut
          grown = (yield* target.memory).rss - before.rss
          yield* child.stop
          return yield* child.result
        })
      )
      checks.inTime(grown <= mostGrown, `the process is ${mebibytes(grown)} MiB larger`)
      checks.inTime(served.p99 < tail, `the honest p99 was ${served.p99} ms`)
      return checks.verdict(`${mebibytes(grown)} MiB larger, ${cut} cut off; ${spoken(served)}`)
    })
}

/** Room for some to make room, by chance. */
const unlucky = (size: Size) => (size === "full" ? 1 : 25)

const violators: Scenario = {
  name: "file descriptors, violators",
  asset: "availability",
  attacker: "network",
  threat: "peers break the protocol and never answer the Close, and use up the file descriptors",
  answer: "such a connection counts until its socket is gone",
  promise: "under `ulimit -n 256`, an honest client is served during 1,500 that break the protocol and stay",
  over: webSockets,
  run: (stack: StackName, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const full = size === "full"
      const result = Schema.Struct({ connections, violated: Schema.Int })
      const order = full ? { count: 1500, atOnce: 150 } : { count: 300, atOnce: 150 }
      const options = { size, fds: 256, mayFail: unlucky(size) }
      const { attacked, served, tags } = yield* siege(stack, checks, options, (target) =>
        Effect.gen(function* () {
          const child = yield* attacker("violators", { target: target.address, ...order }, result)
          yield* child.says
          return yield* child.result
        })
      )
      checks.inTime(served.p99 < tail, `the honest p99 was ${served.p99} ms`)
      return checks.verdict(`${attacked.violated} violated: ${JSON.stringify(tags)}; ${spoken(served)}`)
    })
}

export const scenarios = [ports, refused, frames, closes, large, violators]
