/**
 * An echo over each stack, by the package that is installed beside this file. Prints, as JSON, `echo` for each stack
 * that sent everything back, and for any other what went wrong. The working directory has the keys and certificates of
 * wss, and gets the socket of unix.
 */
import { Effect, Layer } from "effect"
import {
  Connection,
  Deflate,
  Identity,
  Memory,
  Multiserver,
  Net,
  Noauth,
  Noise,
  Shs,
  Sodium,
  Unix,
  WebSocket
} from "effect-multiserver/node"

const targets = {
  "net~shs": "net:127.0.0.1:0~shs",
  "net~noise": "net:127.0.0.1:0~noise",
  "net~noauth": "net:127.0.0.1:0~noauth",
  ws: "ws://127.0.0.1:0",
  "ws~shs": "ws://127.0.0.1:0~shs",
  "wss~noise": "wss://127.0.0.1:0~noise",
  "unix~noauth": "unix:socket~noauth",
  memory: "memory:echo",
  "net~shs~deflate": "net:127.0.0.1:0~shs~deflate"
}

const tls = { credentials: { key: "server.key", cert: "server.crt" }, ca: "ca.crt" }

const Live = Multiserver.layer(Object.keys(targets)).pipe(
  Layer.provide([
    Net.layer(),
    WebSocket.layer(),
    WebSocket.layerSecure(tls),
    Unix.layer(),
    Memory.layer(),
    Shs.layer(),
    Noise.layer(),
    Noauth.layer(),
    Deflate.layer()
  ]),
  Layer.provide(Identity.layerEphemeral),
  Layer.provide(Sodium.layer)
)

const sent = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251)

const exchange = (target) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    yield* Effect.forkScoped(listener.run((peer) => Connection.forward(peer, peer)))
    const connection = yield* Multiserver.dial(listener.addresses())
    const received = []
    const all = Effect.gen(function* () {
      for (let length = 0; length < sent.length; ) {
        for (const chunk of yield* connection.pull) {
          received.push(chunk)
          length += chunk.length
        }
      }
      // Over a bare WebSocket, an end is the end of both: first everything has to be back.
      yield* connection.end
      return yield* Effect.catch(Effect.forever(connection.pull), (end) =>
        end._tag === "Done" ? Effect.void : Effect.fail(end)
      )
    })
    yield* Effect.all([connection.write(sent), all], { concurrency: "unbounded" })
    return Buffer.concat(received).equals(sent) ? "echo" : "other bytes came back"
  }).pipe(
    Effect.scoped,
    Effect.timeout("30 seconds"),
    Effect.catchCause((cause) => Effect.succeed(String(cause)))
  )

const echoes = Effect.all(Object.fromEntries(Object.entries(targets).map(([stack, to]) => [stack, exchange(to)])))

console.log(JSON.stringify(await Effect.runPromise(Effect.provide(echoes, Live))))
