/** The client of RPC over addresses. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import type { AddressError } from "../Address.ts"
import { toSocket } from "../bridge/MultiserverSocket.ts"
import { type Connection, destroy } from "../Connection.ts"
import type { DialError } from "../DialError.ts"
import { inOwnScope } from "../inOwnScope.ts"
import * as Multiserver from "../Multiserver.ts"
import { positive } from "../positive.ts"
import * as Messages from "./messages.ts"
import * as Protocol from "./protocol.ts"

/**
 * How a client connects.
 *
 * @category options
 * @since 0.1.0
 */
export interface ClientOptions {
  /** The options of each dial, such as `timeout`, and `plan` for several addresses. */
  readonly dial?: Multiserver.DialOptions
  /** When to dial again, and when to give up. By default `retryPolicy`. */
  readonly retryPolicy?: Schedule.Schedule<unknown, Socket.SocketError>
  /** How often the server is asked whether it is there. By default every 5 seconds. */
  readonly pingInterval?: Duration.Input
  /** After how long without anything from the server the connection is given up. By default the interval. */
  readonly pingTimeout?: Duration.Input
  /** The longest message in bytes, in both directions. By default 1 MiB. The server's has to be the same. */
  readonly maxMessage?: number
  /** How messages are written, instead of schema-binary. The server's has to be the same. `maxMessage` is not used. */
  readonly serialization?: Layer.Layer<RpcSerialization.RpcSerialization>
}

/** In milliseconds. */
const shortest = 200
const longest = 5000

/**
 * When a client dials again. After a connection that has ended, in 200 ms. After a dial that has failed, in 400 ms,
 * 800 ms, up to 5 seconds, each varied by a fifth, so that clients don't come all at once. It ends after a dial that
 * another attempt can't help, as `isRetryable` says: when the server refuses our key, for example.
 *
 * @category constants
 * @since 0.1.0
 */
export const retryPolicy: Schedule.Schedule<number, Socket.SocketError> = /* @__PURE__ */ Schedule.jittered(
  Schedule.fromStep(
    Effect.sync(() => {
      let failed = 0
      return (_now: number, error: Socket.SocketError) => {
        const opened = error.reason._tag !== "SocketOpenError"
        if (!opened && !Multiserver.isRetryable(error)) return Cause.done(failed)
        failed = opened ? 0 : failed + 1
        const delay = Duration.millis(Math.min(shortest * 2 ** failed, longest))
        return Effect.succeed<[number, Duration.Duration]>([failed, delay])
      }
    })
  )
)

/** A connection, and the scope in which it was opened. */
interface Own {
  readonly value: Connection
  readonly scope: Scope.Closeable
}

type Dial = Effect.Effect<Own, AddressError | DialError, Multiserver.Multiserver>

/** `first` is given when something is dialed already. */
const makeProtocol = (
  { pingInterval, pingTimeout, retryPolicy: policy = retryPolicy }: ClientOptions,
  dial: Dial,
  first?: Own
): Effect.Effect<
  RpcClient.Protocol["Service"],
  never,
  Multiserver.Multiserver | RpcSerialization.RpcSerialization | Scope.Scope
> =>
  Effect.gen(function* () {
    const serialization = yield* RpcSerialization.RpcSerialization
    let dialed = first
    let current: Own | undefined
    const open = Effect.gen(function* () {
      // `RpcClient.make` hears of failures from its next turn on. One in this turn would leave its first call waiting.
      const own = dialed ?? (yield* Effect.andThen(Effect.yieldNow, dial))
      dialed = undefined
      current = own
      // When `RpcClient` is left, it interrupts its reader. The layer's scope says the goodbye after that.
      yield* Effect.addFinalizer((exit) =>
        Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? Effect.void : Scope.close(own.scope, exit)
      )
      return own.value
    })
    // Nothing that follows on the connection can be read, or is answered: no goodbye.
    const breakOff = Effect.suspend(() => {
      const own = current
      current = undefined
      return own === undefined ? Effect.void : Effect.andThen(destroy(own.value), Scope.close(own.scope, Exit.void))
    })
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const socket = yield* toSocket(open)
    return yield* Effect.provideService(
      Protocol.make(socket, { retryPolicy: policy, onPingTimeout: breakOff, pingInterval, pingTimeout }),
      RpcSerialization.RpcSerialization,
      Messages.breaking(serialization, () => void fork(breakOff))
    )
  })

/** The connections are the layer's: they are left after `RpcClient`. */
const layerOf = <E>(
  target: Multiserver.Target,
  { maxMessage = Messages.defaultMaxMessage, serialization, ...options }: ClientOptions,
  firstOf: (dial: Dial) => Effect.Effect<Own | undefined, E, Multiserver.Multiserver>
): Layer.Layer<RpcClient.Protocol, E, Multiserver.Multiserver> =>
  Layer.effect(
    RpcClient.Protocol,
    Effect.gen(function* () {
      positive({ maxMessage })
      const scope = yield* Effect.flatMap(Effect.scope, Scope.fork)
      const dial: Dial = Scope.provide(inOwnScope(Multiserver.dial(target, options.dial)), scope)
      return yield* makeProtocol(options, dial, yield* firstOf(dial))
    })
  ).pipe(Layer.provide(serialization ?? Messages.layer(maxMessage)))

/**
 * What `RpcClient.make(group)` needs: a connection to these addresses, dialed again when it has ended. Calls wait for
 * the first dial. When a dial fails, the calls that wait fail with an `RpcClientError` whose `reason` is a
 * `SocketOpenError`: its message is that of the `DialError`, which is its `cause`. Until there is a connection again,
 * calls fail at once with the same error.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Rpc, RpcClient, RpcGroup } from "effect/rpc"
 * import { Memory, Multiserver } from "effect-multiserver"
 * import { MultiserverRpc } from "effect-multiserver/rpc"
 *
 * const Procedures = RpcGroup.make(Rpc.make("Greet", { payload: { name: Schema.String }, success: Schema.String }))
 * const Server = MultiserverRpc.layerServer(Procedures, "memory:greeter").pipe(
 *   Layer.provide(Procedures.toLayer({ Greet: ({ name }) => Effect.succeed(`hello, ${name}`) }))
 * )
 * const program = Effect.gen(function* () {
 *   const { Greet } = yield* RpcClient.make(Procedures)
 *   console.log(yield* Greet({ name: "Alice" })) // hello, Alice
 * })
 * const Live = Layer.provideMerge(MultiserverRpc.layerProtocolClient("memory:greeter"), Server).pipe(
 *   Layer.provide(Multiserver.layer(["memory"])),
 *   Layer.provide(Memory.layer())
 * )
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Live)))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerProtocolClient = (
  target: Multiserver.Target,
  options: ClientOptions = {}
): Layer.Layer<RpcClient.Protocol, never, Multiserver.Multiserver> => layerOf(target, options, () => Effect.undefined)

/**
 * `layerProtocolClient` that dials while it is built: when that fails, so does the layer, with the `DialError`. After
 * that it dials again as the other does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerProtocolConnected = (
  target: Multiserver.Target,
  options: ClientOptions = {}
): Layer.Layer<RpcClient.Protocol, AddressError | DialError, Multiserver.Multiserver> =>
  layerOf(target, options, (dial) => dial)
