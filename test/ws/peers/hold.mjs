/**
 * Ours, as built, in a process of its own whose memory can be told. Each connection is written to without end (`write`) or never read
 * (`hold`). A line on its stdin asks for the
 * resident memory and the bytes written.
 *
 * node hold.mjs write|hold                 listens, and says where
 * node hold.mjs write|hold ADDRESS         dials
 */
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Multiserver from "../../../dist/Multiserver.js"
import * as WebSocket from "../../../dist/ws/WebSocket.js"

const [action, address] = process.argv.slice(2)
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)

let written = 0
const use = (connection) =>
  action === "hold"
    ? Effect.never
    : Effect.suspend(() => {
        const chunk = new Uint8Array(10_000)
        return Effect.map(connection.write(chunk), () => {
          written += chunk.length
        })
      }).pipe(Effect.forever)

const listen = Effect.gen(function* () {
  const listener = yield* Multiserver.listen("ws://127.0.0.1:0")
  say({ address: String(listener.addresses()[0]) })
  return yield* listener.run(use)
})
const dial = Effect.flatMap(Multiserver.dial(address ?? ""), use)

createInterface({ input: process.stdin }).on("line", () => {
  globalThis.gc?.()
  say({ rss: process.memoryUsage.rss(), written })
})

const Live = Multiserver.layer(["ws"]).pipe(Layer.provide(WebSocket.layer()))
Effect.runFork((address === undefined ? listen : dial).pipe(Effect.scoped, Effect.provide(Live)))
