/**
 * Listening: from addresses to handlers, the walk of `Dialer` from the other end.
 *
 * Accept → policy and limits → each transform's inbound side → the handler. Each connection has a fiber and a scope of its
 * own, so a handler that fails or dies ends its own connection and nothing else. A listener that stops drains: no newcomers,
 * unfinished handshakes are ended, handlers are told and given the grace time.
 */
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Address, format, type MultiAddress } from "./Address.ts"
import type * as Connection from "./Connection.ts"
import { Insecure, Unsupported } from "./DialError.ts"
import type { Environment } from "./Dialer.ts"
import { Connections, type Serve } from "./internal/connections.ts"
import { Crowded } from "./internal/crowded.ts"
import { inOwnScope } from "./internal/inOwnScope.ts"
import { type BindReason, ListenError, NotListenable } from "./ListenError.ts"
import * as Stack from "./Stack.ts"
import type * as Transport from "./Transport.ts"

/** What is done with each connection, in its own scope: when it returns, the connection says goodbye. */
export type Handler<E, R> = (connection: Connection.Connection) => Effect.Effect<unknown, E, R>

/** Addresses that are listened on, as long as the scope that it was made in. */
export interface Listener {
  /** What is bound, as it can be dialed from within some scopes, with real ports and keys. By default from this device. */
  readonly addresses: (scope?: Scopes) => ReadonlyArray<Address>
  /** `addresses` now, and again whenever they have changed because an interface went up or down. */
  readonly addressChanges: (scope?: Scopes) => Stream.Stream<ReadonlyArray<Address>>
  /** Succeeds when the listener begins to stop. */
  readonly draining: Effect.Effect<void>
  /** Gives connections to the handler until it is interrupted; then drains. What came before it waited. */
  readonly run: <E, R>(handler: Handler<E, R>) => Effect.Effect<never, never, Exclude<R, Scope.Scope>>
}

/** From where an address is to be reached: `device`, `local`, `public`, or several of them. */
export type Scopes = Transport.Reach | ReadonlyArray<Transport.Reach>

export interface ListenOptions {
  /**
   * From where it may be reached: an address that names all interfaces (`0.0.0.0`, `::`) binds only those of these scopes. By default
   * what the address says is bound.
   */
  readonly scope?: Scopes
  /** The hosts by which the public side reaches this machine: advertised in the scope `public` instead of its interfaces. */
  readonly external?: string | ReadonlyArray<string>
}

/** One address that can be bound. */
interface Plan {
  readonly address: Address
  readonly stack: Stack.Stack
  readonly bind: (
    onAccepted: Transport.OnAccepted,
    told: Omit<Transport.ListenOptions, "authenticates">
  ) => Effect.Effect<Transport.Bound, BindReason, Scope.Scope>
  readonly upgrade: Stack.Upgrade
}

const plan = ({ stacks }: Environment, address: Address): Result.Result<Plan, ListenError> => {
  const fail = (reason: ListenError["reason"]) => new ListenError({ address: format(address), reason })
  const stack = stacks.get(address.stack)
  if (stack === undefined) {
    return Result.fail(fail(new Unsupported({ stack: address.stack, spoken: [...stacks.keys()] })))
  }
  const notListenable = (detail: string) => fail(new NotListenable({ detail }))
  return Result.gen(function* () {
    const bind = yield* Result.mapError(stack.transport.listen(address.transport), notListenable)
    const upgrade = yield* Result.mapError(Stack.upgrade(stack, address, "inbound"), ({ detail, why }) =>
      why === "insecure" ? fail(new Insecure({ detail })) : notListenable(detail)
    )
    const authenticates = Stack.authenticates(stack)
    return { address, stack, bind: (onAccepted, told) => bind(onAccepted, { authenticates, ...told }), upgrade }
  })
}

/** What is bound of an address when it is to be reached from some scopes only. */
const narrowed = (
  environment: Environment,
  own: Plan,
  scopes: Scopes | undefined
): Result.Result<ReadonlyArray<Plan>, ListenError> => {
  if (scopes === undefined) return Result.succeed([own])
  const { address, stack } = own
  const sections = Arr.dedupe([scopes].flat().flatMap((scope) => stack.transport.narrow(address.transport, scope)))
  if (sections.length > 0) {
    const { transforms } = address
    return Result.all(sections.map((transport) => plan(environment, new Address({ transport, transforms }))))
  }
  const reason = new NotListenable({ detail: `no interface of this machine is ${[scopes].flat().join(" or ")}` })
  return Result.fail(new ListenError({ address: format(address), reason }))
}

/** The bound address as others dial it. */
const advertise = (
  { address, stack }: Plan,
  bound: Transport.Bound,
  scope: Transport.Reach,
  external: ReadonlyArray<string>
): ReadonlyArray<Address> => {
  const transforms = stack.transforms.map((shape, i) => {
    const own = address.transforms[i]
    return own === undefined ? [] : [shape.advertise(own)]
  })
  return stack.transport
    .advertise(bound.section, scope, external)
    .map((transport) => new Address({ transport, transforms: transforms.flat() }))
}

// -----------------------------------------------------------------------------
// listen
// -----------------------------------------------------------------------------

/** Systems have no portable way to tell of a change: this is how often interfaces are looked at. */
const interfacePoll = "5 seconds"

/** Listens on all addresses, or on none: the error says which one could not be bound. */
export const listen = (
  environment: Environment,
  addresses: MultiAddress,
  options: ListenOptions = {}
): Effect.Effect<Listener, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const asked = yield* Effect.fromResult(Result.all(addresses.map((address) => plan(environment, address))))
    const plans = yield* Effect.fromResult(
      Result.map(Result.all(asked.map((each) => narrowed(environment, each, options.scope))), (each) => each.flat())
    )
    // Finalizers run in reverse: the transports stop accepting, then the connections drain, then what is left is ended.
    const fibers = yield* FiberSet.make<void>()
    const fork = yield* FiberSet.runtime(fibers)().pipe(
      Effect.provideService(Crowded, () => environment.admission.crowded)
    )
    const connections = new Connections(environment, fork)
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Effect.sync(() => connections.stop()),
        Effect.timeoutOrElse(FiberSet.awaitEmpty(fibers), {
          duration: environment.limits.grace,
          orElse: () => Effect.sync(() => connections.giveUp())
        })
      )
    )
    const bound = yield* Effect.forEach(plans, (each) =>
      each
        .bind((accepted, source, origin) => connections.accept(each, accepted, source, origin), {
          onVanished: () => connections.vanished(each),
          onRefused: (why, source, origin) => connections.refused(each, why, source, origin),
          onArriving: (source, end) => connections.arrive(each, source, end)
        })
        .pipe(
          Effect.mapError((reason) => new ListenError({ address: format(each.address), reason })),
          Effect.map((own) => ({ plan: each, own }))
        )
    )
    return { bound, connections }
  }).pipe(
    inOwnScope,
    Effect.map(({ scope, value: { bound, connections } }): Listener => {
      const stop = Scope.close(scope, Exit.void)
      const external = [options.external ?? []].flat()
      const advertised = (scopes: Scopes = "device") =>
        Arr.dedupeWith(
          [scopes].flat().flatMap((each) => bound.flatMap(({ own, plan }) => advertise(plan, own, each, external))),
          (a, b) => format(a) === format(b)
        )
      return {
        addresses: advertised,
        addressChanges: (scopes) =>
          Stream.fromEffectSchedule(
            Effect.sync(() => advertised(scopes)),
            Schedule.spaced(interfacePoll)
          ).pipe(Stream.changesWith((a, b) => a.map(format).join(";") === b.map(format).join(";"))),
        draining: connections.draining.await,
        run: <E, R>(handler: Handler<E, R>) =>
          Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) => {
            // The connection's own scope stands, whatever scope the one who runs this is in. A merge would copy both for each connection,
            // and `updateContext` keep what was there before: when its scope closes the connection's fiber has that again anyway.
            const serve: Serve = (connection) =>
              Effect.withFiber((fiber) => {
                fiber.setContext(Context.add(context, Scope.Scope, Context.getUnsafe(fiber.context, Scope.Scope)))
                return handler(connection) as Effect.Effect<unknown, E, Scope.Scope>
              })
            Deferred.doneUnsafe(connections.handler, Effect.succeed(serve))
            return Effect.ensuring(Effect.never, stop)
          })
      }
    })
  )
