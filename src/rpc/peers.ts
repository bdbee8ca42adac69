/** Who calls, for the handlers of RPC. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Schema from "effect/Schema"
import { Accepted } from "../bridge/MultiserverSocketServer.ts"
import { authorizedAs, type Connection } from "../Connection.ts"
import type { PublicKey } from "../Identity.ts"

/**
 * The peer of the connection is not who this procedure is for. No handler has run.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAdmitted extends Schema.TaggedError<NotAdmitted>("effect-multiserver/NotAdmitted")("NotAdmitted", {
  detail: Schema.String
}) {
  override get message(): string {
    return `the call was refused: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The peer that calls. `RequireKey` gives it to handlers.
 *
 * @category services
 * @since 0.1.0
 */
export class RemotePeer extends Context.Service<
  RemotePeer,
  {
    /** The key that it has proved. */
    readonly publicKey: PublicKey
    /** The connection of the call. */
    readonly connection: Connection
  }
>()("effect-multiserver/rpc/RemotePeer (RequireKey gives it to handlers)") {}

/**
 * The middleware that gives handlers their `RemotePeer`. A call of a peer that has proved no key fails with
 * `NotAdmitted`, and its handler doesn't run.
 *
 * @category services
 * @since 0.1.0
 */
export class RequireKey extends RpcMiddleware.Service<RequireKey, { provides: RemotePeer }>()(
  "effect-multiserver/rpc/RequireKey",
  { error: NotAdmitted }
) {}

const refuse = (detail: string) => Effect.fail(new NotAdmitted({ detail }))

/** The connection through which the call of this fiber came. */
const connectionOf: Effect.Effect<Connection, NotAdmitted> = Effect.flatMap(
  Effect.serviceOption(Accepted),
  Option.match({
    onNone: () => refuse("it did not come over a connection of a Multiserver"),
    onSome: Effect.succeed
  })
)

/**
 * The implementation of `RequireKey`. `layerServer` provides it already. Provide it yourself where you serve with
 * `RpcServer.layerProtocolSocketServer` over `MultiserverSocketServer.layer`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRequireKey: Layer.Layer<RequireKey> = Layer.succeed(RequireKey, (handler) =>
  Effect.flatMap(connectionOf, (connection) =>
    connection.peer._tag === "Authenticated"
      ? Effect.provideService(handler, RemotePeer, { publicKey: connection.peer.publicKey, connection })
      : refuse("the peer has proved no key, because the stack asks for none: add ~shs or ~noise")
  )
)

/**
 * The layer of a middleware that gives handlers the value with which `authorize` has let the peer in. A call of a peer
 * that has another value, or none, fails with `NotAdmitted`, and its handler doesn't run.
 *
 * @example
 * ```ts
 * import { Context, Schema } from "effect"
 * import { RpcMiddleware } from "effect/rpc"
 * import { MultiserverRpc } from "effect-multiserver/rpc"
 *
 * const Account = Schema.Struct({ name: Schema.String })
 * class Caller extends Context.Service<Caller, typeof Account.Type>()("Caller") {}
 * class RequireCaller extends RpcMiddleware.Service<RequireCaller, { provides: Caller }>()("RequireCaller", {
 *   error: MultiserverRpc.NotAdmitted
 * }) {}
 * // In the group: `.middleware(RequireCaller)`. In a handler: `const { name } = yield* Caller`.
 * export const callers = MultiserverRpc.layerAuthorized(RequireCaller, Caller, Schema.is(Account))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAuthorized = <Middleware, Service, A>(
  middleware: Context.Key<Middleware, RpcMiddleware.RpcMiddleware<Service, NotAdmitted, never>>,
  service: Context.Key<Service, A>,
  is: (value: unknown) => value is A
): Layer.Layer<Middleware> =>
  Layer.succeed(middleware, (handler) =>
    Effect.flatMap(connectionOf, (connection) =>
      Option.match(authorizedAs(connection, is), {
        onNone: () => refuse("`authorize` gave no value of this kind for the peer"),
        onSome: (value) => Effect.provideService(handler, service, value)
      })
    )
  )
