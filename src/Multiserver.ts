/**
 * One interface over many protocols: dial an address, listen on addresses.
 *
 * A Multiserver is a list of stacks. The list is the limit of what is spoken: an address whose stack is not in it is
 * `Unsupported`, so nothing can be downgraded and no section can go missing. The layer takes the protocols from its context;
 * what is dialed and listened on can then come from anywhere, at run time.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Address from "./Address.ts"
import type * as Connection from "./Connection.ts"
import type { DialError } from "./DialError.ts"
import * as Dialer from "./Dialer.ts"
import { Events } from "./Events.ts"
import { Limits } from "./Limits.ts"
import type { ListenError } from "./ListenError.ts"
import * as Listener from "./Listener.ts"
import { Policy } from "./Policy.ts"
import * as Stack from "./Stack.ts"

/** Text, an address, or several of the same peer. */
export type Target = string | Address.Address | Address.MultiAddress

/** What to listen on: texts or addresses. */
export type Targets = Target | readonly [Target, ...ReadonlyArray<Target>]

export class Multiserver extends Context.Service<
  Multiserver,
  {
    readonly dial: (
      target: Target,
      options?: Dialer.DialOptions
    ) => Effect.Effect<Connection.Connection, Address.AddressError | DialError, Scope.Scope>
    readonly listen: (
      targets: Targets
    ) => Effect.Effect<Listener.Listener, Address.AddressError | ListenError, Scope.Scope>
  }
>()("effect-multiserver/Multiserver") {}

const isAddress = (target: unknown): target is Address.Address => target instanceof Address.Address

const parse = (targets: Targets): Effect.Effect<Address.MultiAddress, Address.AddressError> => {
  if (typeof targets === "string") return Effect.fromResult(Address.parse(targets))
  if (isAddress(targets)) return Effect.succeed([targets])
  const [first, ...rest] = targets
  return Effect.gen(function* () {
    const [head, ...tail] = yield* parse(first)
    return [head, ...tail, ...(yield* Effect.forEach(rest, parse)).flat()] as const
  })
}

/**
 * A Multiserver that speaks these stacks. It requires their protocols, each as its layer: `Transport<"net">` and
 * `Transform<"shs">` for `["net~shs"]`. `Policy`, `Limits` and `Events` are read here.
 */
export const layer = <const Names extends string>(
  names: ReadonlyArray<Names>
): Layer.Layer<Multiserver, never, Stack.Requires<Names>> =>
  Layer.effect(
    Multiserver,
    Effect.gen(function* () {
      const context = yield* Effect.context<Stack.Requires<Names>>()
      const limits = yield* Limits
      const environment: Dialer.Environment = {
        stacks: new Map(names.map((name) => [name, Stack.resolve(context, name)])),
        policy: yield* Policy,
        limits,
        emit: yield* Events
      }
      return {
        dial: (target, options) =>
          Effect.flatMap(parse(target), (addresses) => Dialer.dial(environment, addresses, options)).pipe(
            Effect.provideService(Limits, limits)
          ),
        listen: (targets) =>
          Effect.flatMap(parse(targets), (addresses) => Listener.listen(environment, addresses)).pipe(
            Effect.provideService(Limits, limits)
          )
      }
    })
  )

/**
 * A connection with the peer that the addresses are of, as long as the scope. Addresses are tried in order, each with its own
 * deadlines (connect 6 s, then handshakes 10 s); all together are the caller's `Effect.timeout`.
 */
export const dial = (
  target: Target,
  options?: Dialer.DialOptions
): Effect.Effect<Connection.Connection, Address.AddressError | DialError, Multiserver | Scope.Scope> =>
  Multiserver.use((self) => self.dial(target, options))

/** Binds all addresses, or none, as long as the scope. Connections come with `run`. */
export const listen = (
  targets: Targets
): Effect.Effect<Listener.Listener, Address.AddressError | ListenError, Multiserver | Scope.Scope> =>
  Multiserver.use((self) => self.listen(targets))

/** Listens, and gives each connection to the handler until interrupted. */
export const serve = <E, R>(
  targets: Targets,
  handler: Listener.Handler<E, R>
): Effect.Effect<never, Address.AddressError | ListenError, Multiserver | Exclude<R, Scope.Scope>> =>
  Effect.scoped(Effect.flatMap(listen(targets), (listener) => listener.run(handler)))

/** `serve` as a layer to launch: bound when it is built, drained when it is released. */
export const layerServer = <E, R>(
  targets: Targets,
  handler: Listener.Handler<E, R>
): Layer.Layer<never, Address.AddressError | ListenError, Multiserver | Exclude<R, Scope.Scope>> =>
  Layer.effectDiscard(Effect.flatMap(listen(targets), (listener) => Effect.forkScoped(listener.run(handler))))
