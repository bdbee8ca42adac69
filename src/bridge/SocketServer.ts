/**
 * A listener as Effect's `SocketServer`, for `RpcServer.layerProtocolSocketServer` and whatever else runs on one.
 *
 * Each connection is a `Socket`, and in the handler's context also itself, so that a handler can see who the peer is.
 * The listener drains when `run` is interrupted: sockets then close with 1001. It runs once: a second time is a
 * `SocketServerError` with the `ListenError` as its `reason.cause`.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as SocketServer from "effect/socket/SocketServer"
import { type Address, type AddressError, format } from "../Address.ts"
import type { Connection } from "../Connection.ts"
import type { ListenError } from "../ListenError.ts"
import type { Listener } from "../Listener.ts"
import * as Multiserver from "../Multiserver.ts"
import { toSocket } from "./Socket.ts"
import { connectionError, isClosed } from "./socketErrors.ts"

/**
 * The connection below a handler's socket. It is there when the handler runs, but the type of `run` has no place for
 * it: read it with `Effect.serviceOption(Accepted)`.
 */
export class Accepted extends Context.Service<Accepted, Connection>()("effect-multiserver/bridge/Accepted") {}

const socketAddress = (address: Address): NetAddress.SocketAddress | undefined => {
  const { transport } = address
  switch (transport._tag) {
    case "net":
    case "ws":
    case "wss": {
      const host = transport.host === "localhost" ? "127.0.0.1" : transport.host
      return Result.getOrUndefined(NetAddress.inetAddressFromHostString(host, transport.port))
    }
    case "unix":
      return NetAddress.unixPathAddress(transport.path)
    default:
      return undefined
  }
}

/** Where a listener is bound, in the words of sockets. What is no socket, as memory, is a path that is its address. */
const boundAddress = (listener: Listener): NetAddress.SocketAddress => {
  const addresses = listener.addresses()
  const [found] = addresses.flatMap((address) => socketAddress(address) ?? [])
  return found ?? NetAddress.unixPathAddress(addresses.map((address) => format(address)).join(";"))
}

/**
 * What the network did is no fault of the handler, however the handler reports it: `RpcServer` makes a defect of it.
 */
const ordinary = (cause: Cause.Cause<unknown>): Effect.Effect<void, unknown> => {
  if (isClosed(cause)) return Effect.void
  for (const reason of cause.reasons) {
    const thrown = Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
    const error = connectionError(thrown)
    if (error !== undefined) return Effect.fail(error)
  }
  return Effect.failCause(cause)
}

/** The listener runs already, or has stopped. */
const serverError = (cause: ListenError): SocketServer.SocketServerError =>
  new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerUnknownError({ cause }) })

/** The server over a listener, whose `addresses` say what can be dialed. */
export const fromListener = (listener: Listener): SocketServer.SocketServer["Service"] => ({
  address: boundAddress(listener),
  run: (handler) =>
    listener
      .run((connection) =>
        Effect.flatMap(toSocket(Effect.succeed(connection)), handler).pipe(
          Effect.provideService(Accepted, connection),
          Effect.catchCause(ordinary)
        )
      )
      .pipe(Effect.mapError(serverError))
})

/** Listens as long as the layer. */
export const layer = (
  targets: Multiserver.Target
): Layer.Layer<SocketServer.SocketServer, AddressError | ListenError, Multiserver.Multiserver> =>
  Layer.effect(SocketServer.SocketServer, Effect.map(Multiserver.listen(targets), fromListener))
