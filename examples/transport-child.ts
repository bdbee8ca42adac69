import { Deferred, Effect, Layer, Stream } from "effect"
import { Connection, Multiserver, Noauth } from "effect-multiserver/node"
import * as Child from "./transport.ts"

// A program for `examples/transport.ts`: sends back to its parent what it gets from it, and ends.

const Live = Multiserver.layer(["child", "child~noauth"]).pipe(Layer.provide([Child.layer(new Map()), Noauth.layer()]))

const program = Effect.gen(function* () {
  const over = yield* Deferred.make<void>()
  const listener = yield* Multiserver.listen(process.argv[2] ?? "child")
  const echo = (parent: Connection.Connection) => Stream.run(Connection.stream(parent), Connection.sink(parent))
  yield* Effect.forkScoped(listener.run((parent) => Effect.ensuring(echo(parent), Deferred.succeed(over, undefined))))
  yield* Deferred.await(over)
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(program, Live))
