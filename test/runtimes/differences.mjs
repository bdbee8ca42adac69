/**
 * What differs under Deno and Bun, as docs/compatibility.md has it. Run in a folder with keys and certificates, it
 * prints how each conversation ended, as JSON: `end` is a clean end behind everything that was sent.
 */
import * as fs from "node:fs"
import * as https from "node:https"
import { Effect, Layer } from "effect"
import { Connection, Multiserver, WebSocket } from "effect-multiserver/node"

const credentials = { key: "server.key", cert: "server.crt" }
const dialing = WebSocket.layerSecure({ ca: "ca.crt" })

const speaking = (wss) => Multiserver.layer(["wss"]).pipe(Layer.provide(wss))

/** How a conversation over a listener with these options ends. */
const conversation = (options) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen("wss://127.0.0.1:0")
    yield* Effect.forkScoped(listener.run((peer) => Connection.forward(peer, peer)))
    return yield* Effect.gen(function* () {
      const connection = yield* Multiserver.dial(listener.addresses())
      yield* connection.write(new Uint8Array(10))
      yield* connection.pull
      yield* connection.end
      return yield* Effect.matchEffect(Effect.forever(connection.pull), {
        onSuccess: () => Effect.succeed("more than was sent"),
        onFailure: (end) => (end._tag === "Done" ? Effect.succeed("end") : Effect.fail(end))
      })
    }).pipe(Effect.provide(speaking(dialing)))
  }).pipe(
    Effect.provide(speaking(WebSocket.layerSecure(options))),
    Effect.scoped,
    Effect.timeout("30 seconds"),
    Effect.catch((error) => Effect.succeed(`${error._tag} ${error.reason?._tag}: ${error.message}`))
  )

const shared = Effect.acquireRelease(
  Effect.callback((resume) => {
    const server = https.createServer({ key: fs.readFileSync("server.key"), cert: fs.readFileSync("server.crt") })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

const program = Effect.gen(function* () {
  const live = yield* WebSocket.makeCredentials(credentials)
  return {
    wss: yield* conversation({ credentials }),
    "a server of the application": yield* conversation({ server: yield* shared }),
    "a key of another certificate": yield* conversation({ credentials: { ...credentials, key: "client.key" } }),
    makeCredentials: yield* conversation({ credentials: live })
  }
})

console.log(JSON.stringify(await Effect.runPromise(Effect.scoped(program))))
