/**
 * Listening: from addresses to handlers, the walk of `Dialer` from the other end.
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
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { type Address, format, type MultiAddress } from "./Address.ts"
import type * as Connection from "./Connection.ts"
import { Crowded } from "./Crowded.ts"
import type { Environment } from "./Environment.ts"
import type { External } from "./external.ts"
import { inOwnScope } from "./inOwnScope.ts"
import { AlreadyRunning, ListenError, Stopped } from "./ListenError.ts"
import * as Admission from "./listen/admission.ts"
import { Arrivals } from "./listen/arrivals.ts"
import { advertised, type Binding, bindingsFor, elsewhereFor, type Scopes } from "./listen/bindings.ts"
import { drain } from "./listen/drain.ts"
import { Roster } from "./listen/roster.ts"
import { type Serve, Serving } from "./listen/serving.ts"
import { parentOf, type Spanned } from "./spans.ts"

export type { Scopes } from "./listen/bindings.ts"

/** What is done with each connection, in its own scope: when it returns, the connection says goodbye. */
export type Handler<E, R> = (connection: Connection.Connection) => Effect.Effect<unknown, E, R>

/** Addresses that are listened on, as long as the scope that it was made in. */
export interface Listener {
  /**
   * What is bound, as it can be dialed from within some scopes, with real ports and keys. By default from this device.
   */
  readonly addresses: (scope?: Scopes) => ReadonlyArray<Address>
  /** `addresses` now, and again whenever they have changed because an interface went up or down. */
  readonly addressChanges: (scope?: Scopes) => Stream.Stream<ReadonlyArray<Address>>
  /** Succeeds when the listener begins to stop. */
  readonly draining: Effect.Effect<void>
  /**
   * Gives connections to the handler until it is interrupted; then drains. Connections that came before it have waited
   * for it. A listener runs once: a second time fails with `AlreadyRunning` and leaves the first one alone. When the
   * listener has stopped, and when its scope is closed meanwhile, it fails with `Stopped`.
   */
  readonly run: <E, R>(handler: Handler<E, R>) => Effect.Effect<never, ListenError, Exclude<R, Scope.Scope>>
}

const TypeId = "~effect-multiserver/Listener"

/** Whether it is a listener of this package. */
export const isListener = (value: unknown): value is Listener => Predicate.hasProperty(value, TypeId)

/** What `Multiserver.listen` takes besides its addresses. */
export interface ListenOptions {
  /**
   * From where it may be reached: an address that names all interfaces (`0.0.0.0`, `::`) binds only those of these
   * scopes. By default what the address says is bound.
   */
  readonly scope?: Scopes
  /**
   * How others reach what is listened on, where they know it by another name. A host (`pub.example`) is advertised
   * instead of this machine's interfaces, in the scope that it reaches; what is bound to loopback only is reached by an
   * onion service's at most. A whole address (`wss://pub.example~shs`) is advertised as it is, with the keys filled in;
   * what is above its transport has to be listened on.
   */
  readonly external?: string | ReadonlyArray<string>
}

/** Listens on addresses with what a Multiserver has. */
export type Listen = (
  addresses: MultiAddress,
  external: External,
  options?: Omit<ListenOptions, "external">
) => Effect.Effect<Listener, ListenError, Scope.Scope>

/** There is no portable way to hear of a change: this is how often the interfaces are looked at. */
const interfacePoll = "5 seconds"

/** `listen` for one Multiserver, whose listeners share an admission. As long as the scope. */
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
    return { bound, elsewhere, roster, serving }
  }).pipe(
    inOwnScope,
    Effect.map(({ scope, value: { bound, elsewhere, roster, serving } }): Listener => {
      const whole = { address: format(addresses), roster, serving, scope, spanned: environment.spanned }
      return new Bound(whole, (scopes = "device") => advertised(bound, scopes, external.hosts, elsewhere))
    }),
    environment.spanned({
      name: "Multiserver.listen",
      kind: "server",
      attributes: () => ({ "multiserver.addresses": format(addresses) })
    })
  )

/** A listener, with what it takes to run it and to stop it. */
interface Whole {
  readonly address: string
  readonly roster: Roster
  readonly serving: Serving
  readonly scope: Scope.Closeable
  readonly spanned: Spanned
}

const texts = (addresses: ReadonlyArray<Address>): string => addresses.map(format).join(";")

/** A listener as its user has it. */
class Bound implements Listener {
  readonly addresses: Listener["addresses"]
  readonly addressChanges: Listener["addressChanges"]
  readonly draining: Listener["draining"]
  readonly run: Listener["run"]
  readonly #roster: Roster

  constructor(whole: Whole, addresses: Listener["addresses"]) {
    this.#roster = whole.roster
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
  toString(): string {
    return `Listener(${texts(this.addresses())}, ${this.state})`
  }
  toJSON(): unknown {
    return { _id: "Listener", addresses: this.addresses().map(format), state: this.state }
  }
  [NodeInspectSymbol](): string {
    return this.toString()
  }
}

/** Gives the connections to a handler, unless another one has them. However this ends, the listener stops with it. */
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
 * The handler with the context of the one who runs it, but in the connection's own scope. `Effect.provideContext` would
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
      return handler(connection) as Effect.Effect<unknown, E, Scope.Scope>
    })
