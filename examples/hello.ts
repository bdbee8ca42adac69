import { Console, Effect, Layer, Stream } from "effect"
import { Connection, Multiserver, NodeIdentity, NodeMultiserver } from "effect-multiserver/node"

const Live = NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral))

const program = Effect.gen(function* () {
  // Serve: each connection in a fiber and a scope of its own. This handler sends back what it gets.
  const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs")
  yield* Effect.forkScoped(listener.run((peer) => Stream.run(Connection.stream(peer), Connection.sink(peer))))

  // Dial: the address says everything that is needed, and the peer has proved that it holds the key in it.
  const connection = yield* Multiserver.dial(listener.addresses())
  yield* connection.write(new TextEncoder().encode("hello"))
  yield* connection.end
  const answer = yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
  yield* Console.log(`${connection.remote} says ${answer}`)
}).pipe(Effect.scoped, Effect.timeout("10 seconds"), Effect.retry({ times: 3, while: Multiserver.isRetryable }))

await Effect.runPromise(Effect.provide(program, Live))
