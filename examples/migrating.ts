// #region program
import { Console, Effect, Fiber, Layer, ManagedRuntime, Option } from "effect"
import { Identity, Multiserver, Net, PullStream, Shs, Sodium, WebSocket } from "effect-multiserver/node"
import pull from "pull-stream"

// MultiServer([[net, shs({ keys, auth })], [ws, shs({ keys, auth })]])
export const Live = (friends: ReadonlyMap<string, string>, keys: Layer.Layer<Identity.Identity>) => {
  // auth: function (id, cb) { cb(null, friends[id]) }
  const authorize = ({ publicKey }: Shs.Applicant) =>
    Effect.succeed(Option.fromUndefinedOr(friends.get(Identity.formatPublicKey(publicKey))))
  return Multiserver.layer(["net~shs", "ws~shs"]).pipe(
    Layer.provide([Net.layer(), WebSocket.layer(), Shs.layer({ authorize })]),
    Layer.provide([keys, Sodium.layer])
  )
}
// #endregion

// #region server
// ms.server(function (stream) { pull(stream, stream) })
export const server = Effect.gen(function* () {
  const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs;ws://127.0.0.1:0~shs")
  yield* Effect.forkScoped(
    listener.run((connection) =>
      Effect.gen(function* () {
        // stream.auth, stream.address
        yield* Console.log(`${connection.authorized} is here, from ${connection.remote}`)
        const stream = yield* PullStream.toPullStream(connection)
        pull(stream, stream)
        // The connection lives as long as its handler.
        yield* connection.closed
      })
    )
  )
  return listener.addresses().join(";") // ms.stringify()
})
// #endregion

// #region client
type Callback = (error: unknown, stream?: PullStream.PullStream) => void

/** For code that stays as it is: `client` as in npm multiserver, over a Multiserver that is made once. */
export const callbacks = <E>(live: Layer.Layer<Multiserver.Multiserver, E>) => {
  const runtime = ManagedRuntime.make(live)
  // var abort = ms.client(address, function (err, stream) { ... })
  const client = (address: string, callback: Callback) => {
    const conversation = Effect.gen(function* () {
      const connection = yield* Multiserver.dial(address)
      callback(null, yield* PullStream.toPullStream(connection))
      yield* connection.closed
    }).pipe(
      Effect.scoped,
      Effect.catch((error) => Effect.sync(() => callback(error)))
    )
    const fiber = runtime.runFork(conversation)
    return () => void Effect.runFork(Fiber.interrupt(fiber))
  }
  return { client, close: () => runtime.dispose() }
}
// #endregion
