/**
 * Listening: from addresses to handlers.
 *
 * `listen/bindings` says what is bound. Each transport hands its newcomers to `listen/arrivals`, which asks policy and
 * limits. `listen/serving` runs each transform's inbound side, then the handler. Each connection has a fiber and a
 * scope of its own, so a handler that fails or dies ends its own connection and nothing else. `listen/drain` is how a
 * listener stops.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { type Address, format, type MultiAddress } from "./Address.ts"
import type * as Connection from "./Connection.ts"
import { Crowded } from "./Crowded.ts"
import type { Environment } from "./Environment.ts"
import { effectOf } from "./effectOf.ts"
import type { External } from "./external.ts"
import { inOwnScope } from "./inOwnScope.ts"
import { AlreadyRunning, ListenError, Stopped } from "./ListenError.ts"
import * as Admission from "./listen/admission.ts"
import { Arrivals } from "./listen/arrivals.ts"
import { advertised, type Binding, bindingsFor, elsewhereFor, type Scopes } from "./listen/bindings.ts"
import { drain } from "./listen/drain.ts"
import { Roster } from "./listen/roster.ts"
import { type Serve, Serving } from "./listen/serving.ts"
import * as Stack from "./Stack.ts"
import { parentOf, type Spanned } from "./spans.ts"

export type { Scopes } from "./listen/bindings.ts"

/**
 * Handles one connection, in the connection's own scope. When it returns, the connection says goodbye.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler<E, R> = (connection: Connection.Connection) => Effect.Effect<unknown, E, R>

/**
 * The addresses that are listened on, as long as the scope in which they were bound.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listener {
  /**
   * The addresses by which it can be dialed from these scopes, with real ports and keys. By default from this device.
   */
  readonly addresses: (scope?: Scopes) => ReadonlyArray<Address>
  /**
   * `addresses` now, and again when they have changed because an interface went up or down. The interfaces are read
   * every 5 seconds.
   */
  readonly addressChanges: (scope?: Scopes) => Stream.Stream<ReadonlyArray<Address>>
  /** Whether the peers of all its addresses prove their keys. */
  readonly authenticates: boolean
  /** Succeeds when the listener begins to stop. */
  readonly draining: Effect.Effect<void>
  /**
   * Runs the handler for each connection. When it is interrupted, the listener drains. Connections that came before
   * have waited for the handler. A listener runs once: a second call fails with `AlreadyRunning`, and the first goes
   * on. Fails with `Stopped` when the listener has stopped, or when its scope closes meanwhile.
   */
  readonly run: <E, R>(handler: Handler<E, R>) => Effect.Effect<never, ListenError, Exclude<R, Scope.Scope>>
}

const TypeId = "~effect-multiserver/Listener"

/**
 * Whether the value is a listener that this package has made.
 *
 * @category guards
 * @since 0.1.0
 */
export const isListener = (value: unknown): value is Listener => Predicate.hasProperty(value, TypeId)

/**
 * What `Multiserver.listen` takes besides its addresses.
 *
 * @category options
 * @since 0.1.0
 */
export interface ListenOptions {
  /**
   * From where the listener may be reached. An address that names all interfaces (`0.0.0.0`, `::`) then binds only the
   * interfaces of these scopes. By default an address binds what it says.
   */
  readonly scope?: Scopes
  /**
   * How others reach the listener, where they know it by another name. A host (`pub.example`) is advertised instead of
   * this machine's interfaces, in the scope that it reaches. It is not advertised for a loopback listener, unless it is
   * an onion service. A whole address (`wss://pub.example~shs`) is advertised as it is, with the keys filled in. The
   * transforms in it have to be those of an address that is listened on.
   */
  readonly external?: string | ReadonlyArray<string>
}

/**
 * Listens on addresses, for one Multiserver.
 *
 * @internal
 * @category models
 * @since 0.1.0
 */
export type Listen = (
  addresses: MultiAddress,
  external: External,
  options?: Omit<ListenOptions, "external">
) => Effect.Effect<Listener, ListenError, Scope.Scope>

/** How often the interfaces are read. There is no portable way to be told of a change. */
const interfacePoll = "5 seconds"

/**
 * Makes the `listen` of one Multiserver. All its listeners share one admission, which lives as long as the scope.
 *
 * @internal
 * @category constructors
 * @since 0.1.0
 */
export const make = (environment: Environment): Effect.Effect<Listen, never, Scope.Scope> =>
  Effect.map(
    Admission.make(environment.limits, environment.capacity),
    (admission): Listen =>
      (addresses, external, options = {}) =>
        listen(environment, admission, addresses, external, options)
  )

/** Listens on all addresses, or on none: the error says which one could not be bound. */
const listen = (
  environment: Environment,
  admission: Admission.Admission,
  addresses: MultiAddress,
  external: External,
  options: Omit<ListenOptions, "external">
): Effect.Effect<Listener, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const bindings = yield* Effect.fromResult(bindingsFor(environment, addresses, options.scope))
    const elsewhere = yield* Effect.fromResult(elsewhereFor(environment, bindings, external.addresses))
    const roster = new Roster()
    // Finalizers run in reverse: the transports stop accepting, then the connections drain, then what is left is ended.
    yield* Effect.addFinalizer(() => roster.stopped.open)
    const fibers = yield* FiberSet.make<void>()
    const fork = yield* FiberSet.runtime(fibers)().pipe(Effect.provideService(Crowded, () => admission.crowded))
    const serving = new Serving(environment, admission, roster)
    const arrivals = new Arrivals(environment, admission, roster, serving, fork)
    yield* Effect.addFinalizer(() => drain(roster, fibers, environment.limits))
    const bound = yield* Effect.forEach(bindings, (binding) =>
      Effect.map(bind(binding, arrivals), (own) => ({ binding, bound: own }))
    )
    const authenticates = bindings.every(({ stack }) => Stack.authenticates(stack))
    return { bound, elsewhere, roster, serving, authenticates }
  }).pipe(
    inOwnScope,
    Effect.map(({ scope, value: { authenticates, bound, elsewhere, roster, serving } }): Listener => {
      const { spanned } = environment
      const whole = { address: format(addresses), authenticates, roster, serving, scope, spanned }
      return new Bound(whole, (scopes = "device") => advertised(bound, scopes, external.hosts, elsewhere))
    }),
    environment.spanned({
      name: "Multiserver.listen",
      kind: "server",
      attributes: () => ({ "multiserver.addresses": format(addresses) })
    })
  )

/** What running and stopping a listener takes. */
interface Whole {
  readonly address: string
  readonly authenticates: boolean
  readonly roster: Roster
  readonly serving: Serving
  readonly scope: Scope.Closeable
  readonly spanned: Spanned
}

const texts = (addresses: ReadonlyArray<Address>): string => addresses.map(format).join(";")

class Bound implements Listener {
  readonly addresses: Listener["addresses"]
  readonly addressChanges: Listener["addressChanges"]
  readonly authenticates: boolean
  readonly draining: Listener["draining"]
  readonly run: Listener["run"]
  readonly #roster: Roster

  constructor(whole: Whole, addresses: Listener["addresses"]) {
    this.#roster = whole.roster
    this.authenticates = whole.authenticates
    this.addresses = addresses
    this.addressChanges = (scopes) =>
      Stream.fromEffectSchedule(
        Effect.sync(() => addresses(scopes)),
        Schedule.spaced(interfacePoll)
      ).pipe(Stream.changesWith((a, b) => texts(a) === texts(b)))
    this.draining = whole.roster.draining.await
    this.run = <E, R>(handler: Handler<E, R>) =>
      Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) =>
        runOnce(whole, withContext(handler, context, whole.spanned))
      )
  }

  get [TypeId](): typeof TypeId {
    return TypeId
  }
  private get state(): "bound" | "draining" {
    return this.#roster.stopping ? "draining" : "bound"
  }
  /** None when the code of a transport throws: printing never does. */
  private get printed(): ReadonlyArray<string> {
    return Result.getOrElse(
      Result.try(() => this.addresses().map((address) => format(address))),
      () => []
    )
  }
  toString(): string {
    return `Listener(${this.printed.join(";")}, ${this.state})`
  }
  toJSON(): unknown {
    return { _id: "Listener", addresses: this.printed, state: this.state }
  }
  [NodeInspectSymbol](): string {
    return this.toString()
  }
}

/**
 * Gives the connections to the handler, unless another handler has them. However this ends, the listener stops with it.
 */
const runOnce = ({ address, roster, scope, serving }: Whole, handler: Serve): Effect.Effect<never, ListenError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      const fail = (reason: AlreadyRunning | Stopped) => Effect.fail(new ListenError({ address, reason }))
      if (scope.state._tag === "Closed") return fail(new Stopped())
      if (!Deferred.doneUnsafe(serving.handler, Effect.succeed(handler))) return fail(new AlreadyRunning())
      const untilStopped = Effect.flatMap(roster.stopped.await, () => fail(new Stopped()))
      return Effect.onExit(restore(untilStopped), () => Scope.close(scope, Exit.void))
    })
  )

const bind = (binding: Binding, arrivals: Arrivals) =>
  binding
    .bind((accepted, source, origin) => arrivals.accept(binding, accepted, source, origin), {
      onVanished: () => arrivals.vanished(binding),
      onRefused: (why, source, origin) => arrivals.refused(binding, why, source, origin),
      onArriving: (source, end, hasSpoken) => arrivals.arrive(binding, source, end, hasSpoken),
      onLingering: (end) => arrivals.linger(end)
    })
    .pipe(Effect.mapError((reason) => new ListenError({ address: format(binding.address), reason })))

/**
 * The handler, with the context of the caller of `run` but in the connection's own scope. `Effect.provideContext` would
 * merge two contexts for each connection, and `Effect.updateContext` would keep the old one to restore it. There is
 * nothing to restore: the connection's fiber gets its context back when its scope closes.
 */
const withContext =
  <E, R>(handler: Handler<E, R>, context: Context.Context<Exclude<R, Scope.Scope>>, spanned: Spanned): Serve =>
  (connection) =>
    Effect.withFiber((fiber) => {
      const own = Context.add(context, Scope.Scope, Context.getUnsafe(fiber.context, Scope.Scope))
      const parent = parentOf(spanned, fiber.context)
      fiber.setContext(Option.isNone(parent) ? own : Context.add(own, Tracer.ParentSpan, parent.value))
      return effectOf("the handler of a connection", handler(connection)) as Effect.Effect<unknown, E, Scope.Scope>
    })
