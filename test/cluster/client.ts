/** A client that does what the lines of its stdin say, and says in lines of JSON what came of it. */
import { createInterface } from "node:readline"
import { NodeRuntime } from "@effect/platform-node"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { Cluster } from "effect-multiserver/cluster"
import { Counter } from "../../examples/cluster/counter.ts"
import { Member } from "../../examples/cluster/member.ts"

/** `count` calls to `counters` counters, `atOnce` of them at the same time. The ids begin with the name. */
const Order = Schema.Struct({
  name: Schema.String,
  what: Schema.Literals(["Add", "WhereAreYou"]),
  count: Schema.Int,
  counters: Schema.Int,
  atOnce: Schema.Int,
  /** Milliseconds after each call. */
  pause: Schema.optionalKey(Schema.Int)
})
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Order))

const say = (event: object) => Effect.sync(() => void process.stdout.write(`${JSON.stringify(event)}\n`))

/** Each 50th answer is said, so that the test knows how far it is. */
const carryOut = ({ atOnce, count, counters, name, pause = 0, what }: typeof Order.Type) =>
  Effect.gen(function* () {
    const clientOf = yield* Counter.client
    const millis: Array<number> = []
    const answers = new Set<string>()
    const call = (i: number) =>
      Effect.gen(function* () {
        const counter = clientOf(`counter-${i % counters}`)
        const began = performance.now()
        if (what === "Add") yield* counter.Add({ id: `${name}-${i}`, amount: 1 })
        else answers.add(yield* counter.WhereAreYou())
        millis.push(performance.now() - began)
        if (millis.length % 50 === 0) yield* say({ event: "answered", name, count: millis.length })
        yield* Effect.sleep(pause)
      })
    yield* Effect.forEach(Array.from({ length: count }).keys(), call, { concurrency: atOnce, discard: true })
    millis.sort((a, b) => a - b)
    const at = (part: number) => millis[Math.min(millis.length - 1, Math.floor(millis.length * part))]
    yield* say({
      event: "done",
      name,
      count: millis.length,
      p50: at(0.5),
      p99: at(0.99),
      slowest: at(1),
      answers: [...answers]
    })
  })

/** The test waits for answers: that there is none ends the process. */
const fail = (cause: Cause.Cause<unknown>) =>
  Effect.sync(() => {
    console.error(Cause.pretty(cause))
    process.exit(1)
  })

const program = Effect.gen(function* () {
  const orders = yield* Queue.unbounded<typeof Order.Type>()
  createInterface({ input: process.stdin }).on("line", (line) => Queue.offerUnsafe(orders, decode(line)))
  yield* say({ event: "ready" })
  while (true) yield* Effect.forkChild(Effect.onError(carryOut(yield* Queue.take(orders)), fail))
})

program.pipe(Effect.scoped, Effect.provide(Cluster.layerClient.pipe(Layer.provide(Member))), NodeRuntime.runMain)
