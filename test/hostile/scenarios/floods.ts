/** More of everything than a server wants. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checks } from "../checks.ts"
import { beforeHandshakes, everywhere, type Scenario } from "../scenario.ts"
import {
  attacker,
  eventually,
  type Honest,
  partsOf,
  patient,
  type Served,
  type Size,
  type StackName,
  sameAs,
  settled,
  siege,
  startTarget,
  sum,
  type Tags,
  type Target
} from "../world.ts"

const connections = Schema.Int
const tail = 500

const Silent = Schema.Struct({ connections, refused: Schema.Int, closed: Schema.Int, left: Schema.Int })

/** How many honest exchanges in a hundred may make room. In the quick size tables are small. */
const unlucky = (size: Size) => (size === "full" ? 1 : 25)

/** What may become of a socket that says nothing: it makes room, it is too late, or it leaves. */
const endsOfSilence = ["handshake Displaced", "handshake TimedOut", "handshake Rejected"]

const onlySilent = (checks: Checks, tags: Tags) => {
  const known = endsOfSilence.reduce((count, tag) => count + (tags[tag] ?? 0), 0)
  checks.holds(known >= sum(tags) * 0.99, `they ended ${JSON.stringify(tags)}`)
}

const inTime = (checks: Checks, served: Served) =>
  checks.inTime(served.p99 < tail, `the honest p99 was ${served.p99} ms`)

const spoken = ({ exchanges, failures, p50, p99 }: Served) =>
  `honest ${exchanges} of ${exchanges + failures.length}, p50 ${p50} ms, p99 ${p99} ms`

/**
 * How many newcomers there are in the quick size to each exchange of who is honest: that makes chances, however slow
 * the machine is.
 */
const newcomers = 6

/**
 * Silent sockets, in the full size so many a second; they stay a while when all are there. In the quick size they are
 * as many to each honest exchange, and stay until one has made room, if one has to.
 */
const flood = (
  target: Target,
  honest: Honest,
  size: Size,
  { count, rate, stay }: { readonly count: number; readonly rate: number; readonly stay?: Duration.Input }
) =>
  Effect.gen(function* () {
    const order = size === "full" ? { target: target.address, count, rate } : { target: target.address }
    const child = yield* attacker("silent", order, Silent)
    yield* child.says
    if (size === "quick") {
      for (let made = 0; made < count; made += newcomers) {
        yield* child.tell({ count: newcomers })
        yield* honest.exchange
      }
      if (stay !== undefined) {
        yield* eventually(target.tags, (tags) => (tags["handshake Displaced"] ?? 0) > 0)
      }
    } else if (stay !== undefined) yield* Effect.sleep(stay)
    yield* child.stop
    return yield* child.result
  })

const silence: Scenario = {
  name: "silent sockets",
  asset: "availability",
  attacker: "network",
  threat: "thousands of sockets that say nothing fill the table of pending handshakes",
  answer:
    "at most 1,024 handshakes are pending; a newcomer above that gets in, and the oldest peer that has sent nothing is closed",
  promise: "an honest client's p99 is under 500 ms with 5,000 silent sockets",
  over: beforeHandshakes,
  second: "ws~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const full = size === "full"
      const env: Record<string, string> = full ? {} : { MULTISERVER_PENDING_HANDSHAKES: "128" }
      const options = { size, env, every: 10, mayFail: unlucky(size) }
      const { attacked, served, tags } = yield* siege(stack, checks, options, (target, honest) =>
        flood(target, honest, size, { count: full ? 5000 : 300, rate: 1000, stay: "8 seconds" })
      )
      inTime(checks, served)
      onlySilent(checks, tags)
      checks.holds((tags["handshake Displaced"] ?? 0) > 0, "nobody made room")
      return checks.verdict(`${attacked.connections} sockets; ${spoken(served)}`)
    })
}

const arrivals: Scenario = {
  name: "a flood of silent sockets",
  asset: "availability",
  attacker: "network",
  threat: "silent sockets come faster than the deadline clears them",
  answer: "the oldest silent socket is closed: a newcomer has as much time as it takes to fill all places",
  promise: "with 200 new silent sockets a second for a minute, an honest client fails at most 1 time in 100",
  over: beforeHandshakes,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const full = size === "full"
      const seconds = full ? 60 : 2
      const env: Record<string, string> = full ? {} : { MULTISERVER_PENDING_HANDSHAKES: "128" }
      const options = { size, env, every: 20, mayFail: unlucky(size) }
      const { attacked, served, tags } = yield* siege(stack, checks, options, (target, honest) =>
        flood(target, honest, size, { count: 200 * seconds, rate: 200 })
      )
      onlySilent(checks, tags)
      return checks.verdict(`${attacked.connections} sockets in ${seconds} s; ${spoken(served)}`)
    })
}

const idle: Scenario = {
  name: "idle peers",
  asset: "availability",
  attacker: "authenticated peer",
  threat: "peers that authenticate and then do nothing",
  answer:
    "each costs a file descriptor and some memory; the number of connections is limited, in all and for each source",
  promise: "an honest client's p99 is under 500 ms with 1,000 idle authenticated connections",
  over: everywhere,
  second: "wss~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const count = size === "full" ? 1000 : 50
      let each = 0
      const { attacked, served } = yield* siege(stack, checks, { size }, (target) =>
        Effect.gen(function* () {
          const before = yield* target.memory
          const result = Schema.Struct({ connections, refused: Schema.Int, lost: Schema.Int })
          const child = yield* attacker("idle", { target: target.address, count }, result)
          yield* child.says
          each = ((yield* target.memory).heap - before.heap) / count
          yield* Effect.sleep(size === "full" ? "5 seconds" : "200 millis")
          yield* child.stop
          return yield* child.result
        })
      )
      checks.holds(attacked.refused === 0 && attacked.lost === 0, `${attacked.refused} refused, ${attacked.lost} lost`)
      inTime(checks, served)
      return checks.verdict(`${count} connections, ${Math.round(each / 1024)} KiB each; ${spoken(served)}`)
    })
}

/**
 * What may wait, in both directions together: what it doesn't read, and what is not read from it meanwhile. Over ws 64
 * KiB more each way, and a message of 128 KiB on top, and in all as docs/limits.md has it.
 */
const heldByOne = (stack: StackName) => (partsOf(stack).transport === "net" ? 256 : 640) * 1024
/** Before the kernels are full; who never stopped reading would have taken tens of these. */
const unbounded = 4 * 1024 * 1024

const stalled: Scenario = {
  name: "stalled readers",
  asset: "availability",
  attacker: "authenticated peer",
  threat: "peers never read what the server sends to them, and it fills the server's memory",
  answer:
    "the server stops reading from a peer whose buffer is full: at most 256 KiB wait in both directions together, over ws 640 KiB",
  promise: "an honest client's p99 is under 500 ms with 20 stalled readers",
  over: everywhere,
  second: "ws~shs",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const count = size === "full" ? 20 : 8
      let held = 0
      const { served } = yield* siege(stack, checks, { size }, (target) =>
        Effect.gen(function* () {
          const result = Schema.Struct({ connections, taken: Schema.Int })
          const half = Effect.gen(function* () {
            const child = yield* attacker("stalled", { target: target.address, count: count / 2 }, result)
            yield* child.says
            yield* Effect.sleep(size === "full" ? "8 seconds" : "1 second")
            return child
          })
          // What the first half costs has in it what is made once.
          const first = yield* half
          const before = yield* target.memory
          const second = yield* half
          held = ((yield* target.memory).buffers - before.buffers) / (count / 2)
          yield* Effect.andThen(first.stop, second.stop)
          return { connections: (yield* first.result).connections + (yield* second.result).connections }
        })
      )
      checks.holds(held <= unbounded, `${Math.round(held / 1024)} KiB are held for one`)
      checks.inTime(held <= heldByOne(stack), `${Math.round(held / 1024)} KiB are held for one`)
      inTime(checks, served)
      return checks.verdict(`${count} stalled, ${Math.round(held / 1024)} KiB held for each; ${spoken(served)}`)
    })
}

const tiny: Scenario = {
  name: "boxes of one byte",
  asset: "availability",
  attacker: "authenticated peer",
  threat: "a peer sends the packets that cost most to read, and keeps the process from serving others",
  answer:
    "after a limited number of packets, other connections have their turn; answers are joined before they are sealed",
  promise: "an honest client's p99 is under 500 ms with two peers that send 1-byte boxes as fast as they can",
  over: everywhere,
  second: "net~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const seconds = size === "full" ? 15 : 0.3
      const { attacked, served } = yield* siege(stack, checks, { size }, ({ address: target }) =>
        Effect.gen(function* () {
          const result = Schema.Struct({ connections, boxes: Schema.Int, died: Schema.NullOr(Schema.String) })
          const flooders = yield* Effect.replicateEffect(attacker("tiny", { target }, result), 2)
          yield* Effect.forEach(flooders, ({ says }) => says)
          yield* Effect.sleep(seconds * 1000)
          yield* Effect.forEach(flooders, ({ stop }) => stop)
          const results = yield* Effect.forEach(flooders, ({ result }) => result)
          for (const { died } of results) checks.holds(died === null, `a flooder was cut off: ${died}`)
          return { connections: 2, boxes: results.reduce((total, { boxes }) => total + boxes, 0) }
        })
      )
      inTime(checks, served)
      return checks.verdict(`${Math.round(attacked.boxes / seconds / 1000)} thousand boxes a second; ${spoken(served)}`)
    })
}

const descriptors: Scenario = {
  name: "file descriptors, silent",
  asset: "availability",
  attacker: "network",
  threat: "silent sockets use up the file descriptors, and Node doesn't report it",
  answer: "at most as many connections as the soft limit less 64; above that, a pending one is closed",
  promise: "under `ulimit -n 256`, an honest client is served during 400 silent sockets",
  over: beforeHandshakes,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const options = { size, fds: 256, mayFail: unlucky(size) }
      const { attacked, served, tags } = yield* siege(stack, checks, options, (target, honest) =>
        flood(target, honest, size, { count: 400, rate: 200, stay: "5 seconds" })
      )
      onlySilent(checks, tags)
      checks.holds((tags["handshake Displaced"] ?? 0) > 0, "nobody made room")
      return checks.verdict(`${attacked.connections} sockets; ${spoken(served)}`)
    })
}

const full: Scenario = {
  name: "file descriptors, authenticated",
  asset: "availability",
  attacker: "authenticated peer",
  threat: "open connections use up the file descriptors",
  answer: "newcomers above the limit are closed at once and counted; the process and its open connections go on",
  promise:
    "under `ulimit -n 256`, 192 of 300 peers that authenticate get in; when they leave, an honest client is served",
  over: everywhere,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const target = yield* startTarget(stack, { fds: 256, env: size === "full" ? {} : patient })
      const result = Schema.Struct({ connections, refused: Schema.Int, lost: Schema.Int })
      // What is made once is made by the first.
      const first = yield* attacker("idle", { target: target.address, count: 1 }, result)
      yield* first.says
      yield* first.stop
      yield* first.result
      const before = yield* settled(target.counts)
      const child = yield* attacker("idle", { target: target.address, count: 300, atOnce: 1 }, result)
      yield* child.says
      const { refused = {} } = yield* target.counts
      yield* child.stop
      const attacked = yield* child.result
      checks.holds(attacked.connections === 192, `${attacked.connections} got in`)
      checks.holds(attacked.lost === 0, `${attacked.lost} of those who were in were cut off`)
      checks.holds(sum(refused) === attacked.refused, `${attacked.refused} refused, heard of ${sum(refused)}`)
      checks.holds(target.isAlive(), "the server died")
      yield* sameAs(before, target.counts, checks, "the server")
      const honest = yield* attacker("cycles", { target: target.address, atOnce: 1 }, Schema.Struct({ connections }))
      yield* honest.tell({ count: 20 })
      const { failures } = yield* honest.says
      checks.holds(Array.isArray(failures) && failures.length === 0, `the honest was not served: ${failures}`)
      return checks.verdict(`${attacked.connections} in, ${attacked.refused} refused: ${JSON.stringify(refused)}`)
    })
}

export const scenarios = [silence, arrivals, idle, stalled, tiny, descriptors, full]
