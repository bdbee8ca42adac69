// #region procedures
import { Context, Effect, Layer, Option, Schedule, Schema, Stream } from "effect"
import { Rpc, RpcClient, RpcGroup, RpcMiddleware, RpcSerialization, RpcServer } from "effect/rpc"
import { Socket, SocketServer } from "effect/socket"
import { Connection, Identity, Multiserver, MultiserverSocket, MultiserverSocketServer } from "effect-multiserver/node"

/** The peer that calls: the public key that it has proved. */
export class Caller extends Context.Service<Caller, Identity.PublicKey>()("Caller") {}

/** Gives each handler its caller. */
class Callers extends RpcMiddleware.Service<Callers, { provides: Caller }>()("Callers") {}

export const Procedures = RpcGroup.make(
  Rpc.make("WhoAmI", { success: Schema.String }),
  Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true })
).middleware(Callers)
// #endregion

// #region server
const handlers = Procedures.toLayer({
  WhoAmI: () => Effect.map(Caller, Identity.formatPublicKey),
  Count: ({ to }) => Stream.range(1, to)
})

const callers = Layer.succeed(Callers, (handler) =>
  Effect.gen(function* () {
    const accepted = yield* Effect.serviceOption(MultiserverSocketServer.Accepted)
    const peer = Option.map(accepted, (connection) => connection.peer)
    if (Option.isNone(peer) || peer.value._tag !== "Authenticated") return yield* Effect.die("the stack proves no key")
    return yield* Effect.provideService(handler, Caller, peer.value.publicKey)
  })
)

/** Serves the procedures until its scope closes, and gives the addresses to dial. */
export const serve = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    const sockets = Layer.succeed(SocketServer.SocketServer, MultiserverSocketServer.fromListener(listener))
    yield* Layer.build(
      RpcServer.layer(Procedures).pipe(
        Layer.provide([handlers, callers, RpcServer.layerProtocolSocketServer]),
        Layer.provide([sockets, RpcSerialization.layerSchemaBinary()])
      )
    )
    return listener.addresses()
  })
// #endregion

// #region client
const clientOver = <R>(
  socket: Effect.Effect<Socket.Socket, never, R>,
  options: Parameters<typeof RpcClient.layerProtocolSocket>[0]
) =>
  Effect.gen(function* () {
    const protocol = yield* Layer.build(
      RpcClient.layerProtocolSocket(options).pipe(
        Layer.provide([Layer.effect(Socket.Socket, socket), RpcSerialization.layerSchemaBinary()])
      )
    )
    return yield* Effect.provide(RpcClient.make(Procedures), protocol)
  })

/** A client over one connection. If the dial fails, there is no client, but a `DialError`. */
export const connect = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(target, { timeout: "10 seconds" })
    return yield* clientOver(MultiserverSocket.toSocket(Effect.succeed(connection)), {
      retryPolicy: Schedule.recurs(0),
      // Nobody answers pings any more. A goodbye would say that all is well.
      onPingTimeout: Connection.destroy(connection)
    })
  })
// #endregion

// #region reconnecting
/** After a connection that has ended, dials again. After a dial that has failed, only where that can help. */
const again = Schedule.exponential("500 millis").pipe(
  Schedule.while(
    ({ input }: Schedule.Metadata<unknown, Socket.SocketError>) =>
      input.reason._tag !== "SocketOpenError" || Multiserver.isRetryable(input)
  )
)

/** A client that dials when it is made, and again when its connection has ended. */
export const connectAgain = (target: Multiserver.Target) => {
  const dial = Multiserver.dial(target).pipe(Effect.tapError((error) => Effect.logWarning(error.message)))
  return clientOver(MultiserverSocket.toSocket(dial), { retryPolicy: again })
}
// #endregion
