/**
 * An echo server on `net~shs` with default limits, for attackers that know nothing of it but its address: `node
 * test/target.ts`.
 *
 * Its first line on stdout is `{"host","port","publicKey","appKey","pid"}`, keys in base64. With `EVENTS=FILE` in its
 * environment it appends `{"event","tag"}` for each connection that ended, as a line: `Closed` or `HandshakeFailed`,
 * and `end` is the tag of a clean goodbye. It echoes, and answers a goodbye with its own once everything owed is sent.
 * SIGTERM drains it, and it exits with 0. `STACK` names another stack, over net, ws or wss; `TLS` is a folder with what
 * wss listens with.
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Connection from "../src/Connection.ts"
import type { ConnectionError } from "../src/ConnectionError.ts"
import * as Events from "../src/Events.ts"
import { Identity } from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { answerCounts, layerCounts, multiserver } from "./hostile/ours.ts"

const { EVENTS: file, STACK: stack = "net~shs" } = process.env
const [transport, ...transforms] = stack.split("~")
const appKey = randomBytes(32)

const refused: Record<string, number> = {}
const peers: Record<string, number> = {}
answerCounts(() => ({ refused, peers }))

const count = (counts: Record<string, number>, name: string, by = 1) => {
  counts[name] = (counts[name] ?? 0) + by
}

/** Opened once: there may be no descriptor left for it later. */
const events = file === undefined ? undefined : fs.openSync(file, "a")

const record: Events.Sink = (event) =>
  Effect.sync(() => {
    if (event._tag === "Refused") count(refused, event.tag, event.count)
    if (events === undefined || (event._tag !== "Closed" && event._tag !== "HandshakeFailed")) return
    fs.writeSync(events, `${JSON.stringify({ event: event._tag, tag: event.tag })}\n`)
  })

const echo = (connection: Connection.Connection): Effect.Effect<void, ConnectionError> =>
  Effect.suspend(() => {
    count(peers, connection.peer._tag)
    return connection.pull.pipe(
      Effect.flatMap(connection.writeAll),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => connection.end)
    )
  })

const serve = Effect.gen(function* () {
  const place = transport === "net" ? "127.0.0.1:0" : "//127.0.0.1:0"
  const listener = yield* Multiserver.listen([`${transport}:${place}`, ...transforms].join("~"))
  const own = listener.addresses()[0]?.transport
  if (own === undefined || !("port" in own)) return yield* Effect.die(new Error(`it has no port: ${stack}`))
  const publicKey = Buffer.from((yield* Identity).publicKey).toString("base64")
  const { host, port } = own
  const { pid } = process
  process.stdout.write(`${JSON.stringify({ host, port, publicKey, appKey: appKey.toString("base64"), pid })}\n`)
  return yield* listener.run(echo)
})

const fiber = Effect.runFork(
  Effect.scoped(serve).pipe(
    Effect.provide(multiserver(Redacted.make(new Uint8Array(appKey)))),
    Effect.provide(Layer.merge(layerCounts, Events.layer(record)))
  )
)
// Nothing may be left that keeps the process alive.
process.once("SIGTERM", () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  if (exit._tag === "Success" || Cause.hasInterruptsOnly(exit.cause)) return
  process.stderr.write(`${Cause.pretty(exit.cause)}\n`)
  process.exitCode = 1
})
