/**
 * One interface over many protocols: dial an address, listen on addresses.
 *
 * A Multiserver speaks the stacks in its list and no others. An address with another stack is `Unsupported`, so nothing
 * can be downgraded and no section can go missing. The layer takes the protocols from its context. The addresses can
 * then come from anywhere, at run time.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Address from "./Address.ts"
import { Capacity } from "./Capacity.ts"
import type * as Connection from "./Connection.ts"
import type { DialError } from "./DialError.ts"
import * as Dialer from "./Dialer.ts"
import { DialPlaces } from "./DialPlaces.ts"
import type { Environment } from "./Environment.ts"
import { Events } from "./Events.ts"
import * as External from "./external.ts"
import { emitTo, guardedPolicy, makeReport } from "./guarded.ts"
import { Limits } from "./Limits.ts"
import { CloseDeadlines } from "./Link.ts"
import { ListenError, NotListenable } from "./ListenError.ts"
import * as Listener from "./Listener.ts"
import { Policy } from "./Policy.ts"
import { Resolver } from "./Resolver.ts"
import * as Stack from "./Stack.ts"
import { makeSpanned } from "./spans.ts"
import { WorkerHooks } from "./workerHooks.ts"

export type { DialOptions, DialPlan, Timeouts } from "./Dialer.ts"
export type { Handler, Listener, ListenOptions } from "./Listener.ts"
export { isRetryable } from "./retryable.ts"

/**
 * One or several addresses, as text or decoded. Several are dialed as addresses of the same peer.
 *
 * @category models
 * @since 0.1.0
 */
export type Target = string | Address.Address | ReadonlyArray<string | Address.Address>

/**
 * The service that dials addresses, and listens on them. `layer` makes one from a list of stacks.
 *
 * @category services
 * @since 0.1.0
 */
export class Multiserver extends Context.Service<
  Multiserver,
  {
    readonly dial: (
      target: Target,
      options?: Dialer.DialOptions
    ) => Effect.Effect<Connection.Connection, Address.AddressError | DialError, Scope.Scope>
    readonly listen: (
      target: Target,
      options?: Listener.ListenOptions
    ) => Effect.Effect<Listener.Listener, Address.AddressError | ListenError, Scope.Scope>
  }
>()("effect-multiserver/Multiserver (Multiserver.layer and NodeMultiserver.layer give it)") {}

const parseOne = (part: string | Address.Address) =>
  typeof part === "string" ? Address.parse(part) : Result.succeed([part])

const addressError = (Reason: typeof Address.Syntax | typeof Address.TooLong, expected: string): Address.AddressError =>
  new Address.AddressError({ reason: new Reason({ offset: 0, expected }) })

/**
 * The addresses of a target.
 *
 * @internal
 * @category accessors
 * @since 0.1.0
 */
export const addressesOf = (target: Target): Result.Result<Address.MultiAddress, Address.AddressError> => {
  if (typeof target === "string") return Address.parse(target)
  if (target instanceof Address.Address) return Result.succeed([target])
  return Result.flatMap(Result.all(target.map(parseOne)), (parts) => {
    const [first, ...rest] = parts.flat()
    if (first === undefined) return Result.fail(addressError(Address.Syntax, "an address"))
    if (rest.length >= Address.maxAddresses) {
      return Result.fail(addressError(Address.TooLong, `at most ${Address.maxAddresses} addresses`))
    }
    return Result.succeed([first, ...rest] as const)
  })
}

/** Runs `use` with the target's addresses. Fails when the target can't be parsed. */
const withAddresses = <A, E, R>(
  target: Target,
  use: (addresses: Address.MultiAddress) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | Address.AddressError, R> =>
  Effect.suspend((): Effect.Effect<A, E | Address.AddressError, R> => {
    const addresses = addressesOf(target)
    return Result.isFailure(addresses) ? Effect.fail(addresses.failure) : use(addresses.success)
  })

/**
 * A Multiserver that speaks these stacks. It requires the layer of each protocol in them: `Transport<"net">` and
 * `Transform<"shs">` for `["net~shs"]`. When it is built, it reads `Policy`, `Limits`, `Events` and `Resolver`, and
 * whether there is a `Tracer`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Multiserver, Net, NodeIdentity, Shs, Sodium, WebSocket } from "effect-multiserver/node"
 *
 * // Speaks these two stacks and nothing else. Without `Shs.layer()` it doesn't compile.
 * export const Live = Multiserver.layer(["net~shs", "ws~shs"]).pipe(
 *   Layer.provide([Net.layer(), WebSocket.layer(), Shs.layer()]),
 *   Layer.provide([NodeIdentity.layerEphemeral, Sodium.layer])
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Names extends string>(
  names: ReadonlyArray<Names>
): Layer.Layer<Multiserver, never, Stack.Requires<Names>> =>
  Layer.effect(
    Multiserver,
    Effect.gen(function* () {
      const worker = yield* WorkerHooks
      const limits = yield* worker.part(yield* Limits)
      const environment = yield* Effect.provideService(makeEnvironment(names, worker.firstId), Limits, limits)
      const listenOn = yield* Listener.make(environment)
      return {
        dial: dialBy(environment),
        listen: (target, options) =>
          // `external` comes from configuration. If it is invalid, fail before anything is bound.
          Effect.flatMap(Effect.fromResult(External.parse([options?.external ?? []].flat())), (external) =>
            withAddresses(target, (addresses) => worker.listening(addresses, listenOn(addresses, external, options)))
          )
      }
    })
  )

/**
 * `layer` without a listener, for bundles: nothing of what listening takes is in it. `listen` fails with
 * `NotListenable`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDialOnly = <const Names extends string>(
  names: ReadonlyArray<Names>
): Layer.Layer<Multiserver, never, Stack.Requires<Names>> =>
  Layer.effect(
    Multiserver,
    Effect.map(makeEnvironment(names), (environment) => ({
      dial: dialBy(environment),
      listen: (target) =>
        withAddresses(target, (addresses) =>
          Effect.fail(new ListenError({ address: Address.format(addresses), reason: onlyDials }))
        )
    }))
  )

const onlyDials = /* @__PURE__ */ (() => new NotListenable({ detail: "this Multiserver only dials" }))()

const dialBy =
  (environment: Environment): Multiserver["Service"]["dial"] =>
  (target, options) =>
    withAddresses(target, (addresses) => Dialer.dial(environment, addresses, options))

const makeEnvironment = Effect.fnUntraced(function* <const Names extends string>(
  names: ReadonlyArray<Names>,
  connections = 0
) {
  const context = yield* Effect.context<Stack.Requires<Names>>()
  const limits = yield* Limits
  const stacks = new Map(names.map((name) => [name, Stack.resolve(context, name)]))
  const report = yield* makeReport
  // Each function is called once. Stacks share transports, and the transports over sockets share one function.
  const rooms = new Set([...stacks.values()].map(({ transport }) => transport.room))
  const room = Math.min(...[...rooms].map((ask) => ask()))
  const capacity = new Capacity(limits.connections, room)
  const environment: Environment = {
    stacks,
    policy: guardedPolicy(yield* Policy, report),
    limits,
    emit: emitTo(yield* Events, limits.close),
    report,
    spanned: yield* makeSpanned,
    capacity,
    places: new DialPlaces(capacity, { most: limits.dials, room }),
    resolve: yield* Resolver,
    nextId: () => ++connections,
    deadlines: new CloseDeadlines(limits.close),
    dial: (addresses) => Dialer.dial(environment, addresses)
  }
  return environment
})

/**
 * Opens a connection with the peer that has these addresses. It lives as long as the scope. By default the addresses
 * are tried in order, each with its own deadlines (connect 6 s, then handshakes 10 s). `timeout` bounds all attempts
 * together.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Stream } from "effect"
 * import { Connection, Memory, Multiserver } from "effect-multiserver"
 *
 *
 * const program = Effect.gen(function* () {
 *   const greet = Multiserver.layerServer("memory:greeter", ({ write }) => write(new TextEncoder().encode("hello")))
 *   yield* Layer.build(greet)
 *   const connection = yield* Multiserver.dial("memory:greeter", { timeout: "10 seconds" })
 *   console.log(yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)) // hello
 * })
 * const Live = Multiserver.layer(["memory"]).pipe(Layer.provide(Memory.layer()))
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Live)))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const dial = (
  target: Target,
  options?: Dialer.DialOptions
): Effect.Effect<Connection.Connection, Address.AddressError | DialError, Multiserver | Scope.Scope> =>
  Multiserver.use((self) => self.dial(target, options))

/**
 * Binds all addresses, or none. They are bound as long as the scope. `run` of the listener takes the connections.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Stream } from "effect"
 * import { Connection, Memory, Multiserver } from "effect-multiserver"
 *
 *
 * const program = Effect.gen(function* () {
 *   const listener = yield* Multiserver.listen("memory:echo")
 *   yield* Effect.forkScoped(listener.run((peer) => Stream.run(Connection.stream(peer), Connection.sink(peer))))
 *   const connection = yield* Multiserver.dial(listener.addresses())
 *   yield* connection.write(new TextEncoder().encode("hello"))
 *   yield* connection.end
 *   console.log(yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)) // hello
 * })
 * const Live = Multiserver.layer(["memory"]).pipe(Layer.provide(Memory.layer()))
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Live)))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const listen = (
  target: Target,
  options?: Listener.ListenOptions
): Effect.Effect<Listener.Listener, Address.AddressError | ListenError, Multiserver | Scope.Scope> =>
  Multiserver.use((self) => self.listen(target, options))

/**
 * Listens, and runs the handler for each connection until it is interrupted.
 *
 * @category combinators
 * @since 0.1.0
 */
export const serve = <E, R>(
  target: Target,
  handler: Listener.Handler<E, R>,
  options?: Listener.ListenOptions
): Effect.Effect<never, Address.AddressError | ListenError, Multiserver | Exclude<R, Scope.Scope>> =>
  Effect.scoped(Effect.flatMap(listen(target, options), (listener) => listener.run(handler)))

/**
 * `serve` as a layer to launch. It binds when it is built, and drains when it is released.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Memory, Multiserver } from "effect-multiserver"
 *
 * const Server = Multiserver.layerServer("memory:greeter", ({ write }) => write(new TextEncoder().encode("hello")))
 * const Live = Server.pipe(Layer.provide(Multiserver.layer(["memory"])), Layer.provide(Memory.layer()))
 * // `Layer.launch(Live)` serves until it is interrupted, and drains then.
 * await Effect.runPromise(Effect.timeoutOption(Layer.launch(Live), "10 millis"))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerServer = <E, R>(
  target: Target,
  handler: Listener.Handler<E, R>,
  options?: Listener.ListenOptions
): Layer.Layer<never, Address.AddressError | ListenError, Multiserver | Exclude<R, Scope.Scope>> =>
  Layer.effectDiscard(Effect.flatMap(listen(target, options), (listener) => Effect.forkScoped(listener.run(handler))))
