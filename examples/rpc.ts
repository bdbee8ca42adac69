// #region procedures
import { Effect, Fiber, Layer, Queue, Schema, Stream } from "effect"
import { Rpc, RpcClient, RpcGroup } from "effect/rpc"
import { Identity, type Multiserver, MultiserverSocketServer } from "effect-multiserver/node"
import { MultiserverRpc } from "effect-multiserver/rpc"

export const Procedures = RpcGroup.make(
  Rpc.make("WhoAmI", { success: Schema.String }),
  Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true })
).middleware(MultiserverRpc.RequireKey)
// #endregion

// #region server
const handlers = Procedures.toLayer({
  WhoAmI: () => Effect.map(MultiserverRpc.RemotePeer, ({ publicKey }) => Identity.formatPublicKey(publicKey)),
  Count: ({ to }) => Stream.range(1, to)
})

/** Serves the procedures as long as the layer lives. */
export const server = (target: Multiserver.Target) =>
  MultiserverRpc.layerServer(Procedures, target).pipe(Layer.provide(handlers))

/** The same until the scope closes. Gives the addresses to dial. */
export const serve = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(server(target))
    const listener = yield* Effect.provideContext(MultiserverSocketServer.Listening, context)
    return listener.addresses()
  })
// #endregion

// #region client
/** Who the server says that we are. */
export const whoAmI = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const { WhoAmI } = yield* RpcClient.make(Procedures)
    return yield* WhoAmI()
  }).pipe(Effect.provide(MultiserverRpc.layerProtocolClient(target)), Effect.scoped)
// #endregion

// #region connected
/** A client that is there only when the first dial has succeeded. */
export const connect = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const protocol = MultiserverRpc.layerProtocolConnected(target, { dial: { timeout: "10 seconds" } })
    return yield* Effect.provide(RpcClient.make(Procedures), yield* Layer.build(protocol))
  })
// #endregion

// #region upload
const Uploads = RpcGroup.make(
  /** Gives the number of bytes that `Put` brings. */
  Rpc.make("Upload", { payload: { id: Schema.Int }, success: Schema.Int }),
  /** No bytes: that is all. */
  Rpc.make("Put", { payload: { id: Schema.Int, bytes: Schema.Uint8Array } })
)

const receiving = Effect.sync(() => {
  const uploads = new Map<string, Queue.Queue<Uint8Array>>()
  return Uploads.toLayer({
    Upload: Effect.fnUntraced(function* ({ id }, { client }) {
      const name = `${client.id}/${id}`
      const queue = yield* Queue.bounded<Uint8Array>(1)
      uploads.set(name, queue)
      yield* Effect.addFinalizer(() =>
        Effect.andThen(
          Queue.shutdown(queue),
          Effect.sync(() => uploads.delete(name))
        )
      )
      const stream = Stream.fromQueue(queue).pipe(Stream.takeWhile((bytes) => bytes.length > 0))
      return yield* Stream.runFold(
        stream,
        () => 0,
        (sum, bytes) => sum + bytes.length
      )
    }, Effect.scoped),
    // Is answered when there is room in the queue. So the client sends no faster than the server takes.
    Put: ({ bytes, id }, { client }) => {
      const queue = uploads.get(`${client.id}/${id}`)
      return queue === undefined ? Effect.interrupt : Effect.asVoid(Queue.offer(queue, bytes))
    }
  })
})

export const uploadServer = (target: Multiserver.Target) =>
  MultiserverRpc.layerServer(Uploads, target).pipe(Layer.provide(Layer.unwrap(receiving)))

/** Sends the stream, and gives what the server made of it. */
export const upload = <E, R>(target: Multiserver.Target, bytes: Stream.Stream<Uint8Array, E, R>) =>
  Effect.gen(function* () {
    const { Put, Upload } = yield* RpcClient.make(Uploads)
    const id = 1
    const result = yield* Effect.forkChild(Upload({ id }), { startImmediately: true })
    const some = Stream.filter(bytes, (chunk) => chunk.length > 0)
    yield* Stream.runForEach(some, (chunk) => Put({ id, bytes: chunk }))
    yield* Put({ id, bytes: new Uint8Array() })
    return yield* Fiber.join(result)
  }).pipe(Effect.provide(MultiserverRpc.layerProtocolClient(target)), Effect.scoped)
// #endregion
