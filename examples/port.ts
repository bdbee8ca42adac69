import { isMainThread, parentPort, Worker } from "node:worker_threads"
import { Effect, Layer, Stream } from "effect"
import { Connection, MessagePorts, Multiserver } from "effect-multiserver"

// A thread and its worker, in one file: the worker serves `port:shout`, and the thread dials it.

/** The port that leads to the other thread. In a page it is its `Worker`, and in a page's worker it is `self`. */
const other = isMainThread ? new Worker(new URL(import.meta.url)) : parentPort

const speaks = (port: MessagePorts.MessagePortLike) =>
  Multiserver.layer(["port"]).pipe(Layer.provide(MessagePorts.layer({ ports: { shout: port } })))

const shout = (peer: Connection.Connection) =>
  Connection.stream(peer).pipe(
    Stream.decodeText,
    Stream.map((text) => text.toUpperCase()),
    Stream.encodeText,
    Stream.run(Connection.sink(peer))
  )

const ask = Effect.gen(function* () {
  // The worker may need a while to start.
  const connection = yield* Multiserver.dial("port:shout", { timeouts: { connect: "1 minute" } })
  yield* connection.write(new TextEncoder().encode("hello"))
  yield* connection.end
  const answer = yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
  console.log(answer) // HELLO
})

const serve = Layer.launch(Multiserver.layerServer("port:shout", shout))

if (other !== null) {
  const program: Effect.Effect<void, unknown, Multiserver.Multiserver> = isMainThread ? Effect.scoped(ask) : serve
  await Effect.runPromise(Effect.provide(program, speaks(other)))
  // The worker would serve for ever.
  if (other instanceof Worker) await other.terminate()
}
