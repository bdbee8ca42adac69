/**
 * Our client as a process: each JSON line on stdin, `{id, address, times}`, is so many exchanges, one after the other,
 * and is answered by `{id, tags}`, how many of them ended how. With `interrupt`, that many dials are interrupted at
 * random moments. With `patient`, no deadline decides how one ends. It ends with its stdin.
 */
import { randomBytes } from "node:crypto"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as AppKey from "../../src/AppKey.ts"
import { answerCounts, exchange, layerCounts, multiserver } from "./ours.ts"

const Order = Schema.Struct({
  id: Schema.Int,
  address: Schema.String,
  times: Schema.Int,
  interrupt: Schema.optionalKey(Schema.Boolean),
  patient: Schema.optionalKey(Schema.Boolean)
})
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Order))

const orders = Effect.runSync(Queue.unbounded<typeof Order.Type>())
createInterface({ input: process.stdin })
  .on("line", (line) => Queue.offerUnsafe(orders, decode(line)))
  .on("close", () => Queue.shutdown(orders).pipe(Effect.runFork))
answerCounts(() => ({}))

/** A whole exchange takes some milliseconds with ten at once: from the socket to the goodbye. */
const interrupted = (address: string) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(exchange(address))
    yield* Effect.sleep((randomBytes(1)[0] ?? 0) / 12)
    const outcome = fiber.pollUnsafe()
    yield* Fiber.interrupt(fiber)
    return outcome === undefined ? "interrupted" : "over"
  })

const obey = ({ address, id, interrupt = false, patient = false, times }: typeof Order.Type) =>
  Effect.gen(function* () {
    const tags: Record<string, number> = {}
    const options = patient ? ({ timeouts: { atLeast: "10 minutes" } } as const) : {}
    const one = interrupt ? interrupted(address) : Effect.map(exchange(address, options), ({ tag }) => tag)
    const count = (tag: string) => Effect.sync(() => (tags[tag] = (tags[tag] ?? 0) + 1))
    yield* Effect.replicateEffect(Effect.flatMap(one, count), times, { discard: true, concurrency: interrupt ? 10 : 1 })
    process.stdout.write(`${JSON.stringify({ id, tags })}\n`)
  })

const appKey = Option.getOrElse(AppKey.parse(process.env.APPKEY ?? ""), () => AppKey.mainNetwork)

Queue.take(orders).pipe(
  Effect.flatMap((order) => Effect.forkChild(obey(order))),
  Effect.forever,
  Effect.provide(Layer.merge(multiserver(appKey), layerCounts)),
  Effect.runFork
)
process.stdout.write(`${JSON.stringify({ ready: true })}\n`)
