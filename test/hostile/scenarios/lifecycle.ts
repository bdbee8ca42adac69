/** Coming and going, many times, and the end of the server. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checks } from "../checks.ts"
import { everywhere, type Scenario } from "../scenario.ts"
import { attacker, eventually, patient, settled, siege, startTarget, sum } from "../world.ts"

const connections = Schema.Int
const strings = Schema.Array(Schema.String)
const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`

/** What the heap may have grown by: less than a hundred bytes a cycle. */
const flatHeap = 512 * 1024

const cycles: Scenario = {
  name: "cycles",
  asset: "availability",
  attacker: "authenticated peer",
  threat: "every connection leaves a little memory behind",
  answer: "a connection lives in one scope, and everything that it has is released with that scope",
  promise: "5,000 cycles of connect, handshake, echo and goodbye without a failure, and memory stays flat",
  over: everywhere,
  second: "ws~shs",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const [warm, count] = size === "full" ? [1000, 5000] : [50, 200]
      let grown = { heap: 0, rss: 0 }
      const { attacked, tags } = yield* siege(stack, checks, { size }, (target) =>
        Effect.gen(function* () {
          const order = { target: target.address, atOnce: 8 }
          const result = Schema.Struct({ connections, done: Schema.Int, failures: strings })
          const child = yield* attacker("cycles", order, result)
          yield* child.tell({ count: warm })
          yield* child.says
          yield* settled(target.counts)
          const before = yield* target.memory
          yield* child.tell({ count })
          yield* child.says
          yield* settled(target.counts)
          const after = yield* target.memory
          grown = { heap: after.heap - before.heap, rss: after.rss - before.rss }
          yield* child.stop
          return yield* child.result
        })
      )
      const { done, failures } = attacked
      checks.holds(failures.length === 0, `${failures.length} failed: ${failures[0]}`)
      checks.holds(done === warm + count && tags.end === done, `they ended ${JSON.stringify(tags)}`)
      checks.inTime(grown.heap < flatHeap, `the heap grew by ${mebibytes(grown.heap)}`)
      return checks.verdict(
        `${count} cycles, ${failures.length} failed; heap ${mebibytes(grown.heap)}, rss ${mebibytes(grown.rss)} more`
      )
    })
}

const resets: Scenario = {
  name: "resets",
  asset: "availability",
  attacker: "network",
  threat: "connections are reset at any moment, and leave file descriptors behind",
  answer: "the socket belongs to its connection's scope from the moment it is accepted",
  promise: "after 1,500 resets, as many file descriptors are open as before",
  over: everywhere,
  second: "wss~noise",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const result = Schema.Struct({ connections })
      const count = size === "full" ? 1500 : 90
      const { after, attacked, before, tags } = yield* siege(stack, checks, { size }, ({ address: target }) =>
        Effect.flatMap(attacker("resets", { target, count, seed: 5 }, result), (child) => child.result)
      )
      checks.holds((tags.end ?? 0) === 0, `${tags.end} resets look like a clean end`)
      return checks.verdict(
        `${attacked.connections} resets, ${sum(tags)} events: ${before.fds} descriptors before, ${after.fds} after`
      )
    })
}

const Sessions = Schema.Struct({ connections, goodbyes: Schema.Int, echoed: Schema.Int, cut: strings })

const sigterm: Scenario = {
  name: "SIGTERM",
  asset: "integrity",
  attacker: "none: an operator",
  threat: "a restart cuts off a peer in the middle, and the peer takes what it has for everything",
  answer: "a listener that stops drains: it lets nobody in, sends what is still to be sent, and then says goodbye",
  promise:
    "after SIGTERM with 50 echo sessions in the middle of a transfer, 50 goodbyes arrive, and the exit code is 0",
  over: everywhere,
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const count = size === "full" ? 50 : 10
      const target = yield* startTarget(stack, size === "full" ? {} : { env: patient })
      const child = yield* attacker("sessions", { target: target.address, count }, Sessions)
      yield* child.says
      yield* target.kill("SIGTERM")
      const [duration, ended] = yield* Effect.timed(target.ended)
      const millis = Math.round(Duration.toMillis(duration))
      const { cut, echoed, goodbyes } = yield* child.result
      checks.holds(goodbyes === count, `${goodbyes} goodbyes of ${count}: ${cut.join(", ")}`)
      checks.holds(ended.code === 0, `it exited with ${ended.code ?? ended.signal}`)
      const tags = target.tags()
      checks.holds(sum(tags) === count, `they ended ${JSON.stringify(tags)}`)
      return checks.verdict(
        `${goodbyes} goodbyes of ${count} after ${mebibytes(echoed)}, exit ${ended.code} after ${millis} ms: ${JSON.stringify(tags)}`
      )
    })
}

const deaf: Scenario = {
  name: "SIGTERM with the deaf and the silent",
  asset: "availability",
  attacker: "authenticated peer, network",
  threat: "a peer doesn't read, or doesn't finish its handshake, and keeps a server from stopping",
  answer:
    "unfinished handshakes are ended at once; a peer that reads nothing is cut off after the grace time, with an event that says so",
  promise:
    "after SIGTERM with 5 peers that don't read and 20 silent sockets, the exit code is 0 within 8 s, with an event for each of them",
  over: everywhere,
  second: "ws~shs",
  run: (stack, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      // The hearing are to be done by then.
      const env: Record<string, string> = size === "full" ? {} : { ...patient, MULTISERVER_GRACE: "15 seconds" }
      const target = yield* startTarget(stack, { env })
      const order = { target: target.address, count: 5, deaf: 5, silent: 20 }
      const child = yield* attacker("sessions", order, Sessions)
      yield* child.says
      // Until the server has all; those that write had filled what there is to fill before.
      yield* Effect.repeat(target.counts, { until: ({ sockets }) => sockets >= 30 })
      yield* target.kill("SIGTERM")
      const [duration, ended] = yield* Effect.timed(target.ended)
      const millis = Math.round(Duration.toMillis(duration))
      const { goodbyes } = yield* child.result
      checks.holds(ended.code === 0, `it exited with ${ended.code ?? ended.signal}`)
      checks.holds(goodbyes === 5, `${goodbyes} goodbyes of 5`)
      const tags = yield* eventually(target.tags, (seen) => sum(seen) >= 30)
      checks.holds(sum(tags) === 30 && tags.end === 5, `they ended ${JSON.stringify(tags)}`)
      checks.inTime(tags.TimedOut === 5, `the deaf ended ${JSON.stringify(tags)}`)
      checks.inTime(millis <= 8000, `it took ${millis} ms`)
      return checks.verdict(`exit ${ended.code} after ${millis} ms: ${JSON.stringify(tags)}`)
    })
}

export const scenarios = [cycles, resets, sigterm, deaf]
