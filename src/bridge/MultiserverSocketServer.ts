/**
 * A listener as Effect's `SocketServer`, for `RpcServer.layerProtocolSocketServer` and whatever else runs on one.
 *
 * Each connection is a `Socket`; the connection itself is in the handler's context as `Accepted`, so that a handler can
 * see which peer it serves. When `run` is interrupted the listener drains, and sockets close with 1001. It runs once: a
 * second `run` fails with a `SocketServerError` whose `reason.cause` is the `ListenError`.
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
import type { Listener, ListenOptions } from "../Listener.ts"
import * as Multiserver from "../Multiserver.ts"
import { toSocket } from "./MultiserverSocket.ts"
import { connectionError, isClosed } from "./socketErrors.ts"

/**
 * The connection of a handler's socket. It is in the handler's context, but the type of `run` has no place for it: read
 * it with `Effect.serviceOption(Accepted)`.
 *
 * @category services
 * @since 0.1.0
 */
export class Accepted extends Context.Service<Accepted, Connection>()(
  "effect-multiserver/MultiserverSocketServer/Accepted"
) {}

/**
 * The listener under the server of `layer`. Its `addresses` can be dialed: they have the keys, which a socket address
 * has not.
 *
 * @category services
 * @since 0.1.0
 */
export class Listening extends Context.Service<Listening, Listener>()(
  "effect-multiserver/MultiserverSocketServer/Listening (MultiserverSocketServer.layer gives it)"
) {}

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

/** Where a listener is bound, as a socket address. For `memory` and `port` it is a path: the text of its address. */
const boundAddress = (listener: Listener): NetAddress.SocketAddress => {
  const addresses = listener.addresses()
  const [found] = addresses.flatMap((address) => socketAddress(address) ?? [])
  return found ?? NetAddress.unixPathAddress(addresses.map((address) => format(address)).join(";"))
}

/**
 * Turns a broken connection back into its `ConnectionError`, however the handler reports it: `RpcServer` makes a defect
 * of it, but it is no fault of the handler.
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

/** For a listener that runs already, or has stopped. */
const serverError = (cause: ListenError): SocketServer.SocketServerError =>
  new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerUnknownError({ cause }) })

/**
 * The server over a listener. The listener's own `addresses` say what can be dialed.
 *
 * @category conversions
 * @since 0.1.0
 */
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

/**
 * Listens as long as the layer lives, with the same options as `Multiserver.listen`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Memory, Multiserver, MultiserverSocketServer } from "effect-multiserver"
 *
 * const Live = MultiserverSocketServer.layer("memory:calls").pipe(
 *   Layer.provide(Multiserver.layer(["memory"])),
 *   Layer.provide(Memory.layer())
 * )
 * const program = Effect.gen(function* () {
 *   const { addresses } = yield* MultiserverSocketServer.Listening
 *   console.log(addresses().join(";")) // memory:calls
 * })
 * await Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  targets: Multiserver.Target,
  options?: ListenOptions
): Layer.Layer<SocketServer.SocketServer | Listening, AddressError | ListenError, Multiserver.Multiserver> =>
  Layer.effectContext(
    Effect.map(Multiserver.listen(targets, options), (listener) =>
      Context.make(SocketServer.SocketServer, fromListener(listener)).pipe(Context.add(Listening, listener))
    )
  )
