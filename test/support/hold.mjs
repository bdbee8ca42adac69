/**
 * Ours, as built, in a process of its own whose memory can be told. Each connection is written to without end (`write`)
 * or never read (`hold`). A line on its stdin asks for the resident memory and the bytes written.
 *
 * node hold.mjs write|hold listen TARGET         listens, and says where
 * node hold.mjs write|hold dial ADDRESS
 */
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Multiserver from "../../dist/Multiserver.js"
import * as Net from "../../dist/net/Net.js"
import * as Unix from "../../dist/unix/Unix.js"
import * as WebSocket from "../../dist/ws/WebSocket.js"

const [action, role, target = ""] = process.argv.slice(2)
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
  const listener = yield* Multiserver.listen(target)
  say({ address: String(listener.addresses()[0]) })
  return yield* listener.run(use)
})
const dial = Effect.flatMap(Multiserver.dial(target), use)

createInterface({ input: process.stdin }).on("line", () => {
  globalThis.gc?.()
  say({ rss: process.memoryUsage.rss(), written })
})

const Live = Multiserver.layer(["net", "unix", "ws"]).pipe(
  Layer.provide([Net.layer(), Unix.layer(), WebSocket.layer()])
)
Effect.runFork((role === "listen" ? listen : dial).pipe(Effect.scoped, Effect.provide(Live)))
