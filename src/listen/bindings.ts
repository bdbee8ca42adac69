/** What a listener binds for its addresses, and how others dial what is bound. No I/O. */
import * as Arr from "effect/Array"
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Address, format, type MultiAddress, sectionName } from "../Address.ts"
import { Insecure, Unsupported } from "../DialError.ts"
import type { Environment } from "../Environment.ts"
import { type BindReason, ListenError, NotListenable } from "../ListenError.ts"
import * as Stack from "../Stack.ts"
import type * as Transport from "../Transport.ts"

/**
 * From where an address is to be reached: `device`, `local`, `public`, or several of them.
 *
 * @category models
 * @since 0.1.0
 */
export type Scopes = Transport.Reach | ReadonlyArray<Transport.Reach>

/** One address that can be bound. */
export interface Binding {
  readonly address: Address
  readonly stack: Stack.Stack
  readonly bind: (
    onAccepted: Transport.OnAccepted,
    hears: Omit<Transport.ListenOptions, keyof Transport.StackOptions>
  ) => Effect.Effect<Transport.Bound, BindReason, Scope.Scope>
  readonly upgrade: Stack.Upgrade
}

const bindingFor = ({ dial, stacks }: Environment, address: Address): Result.Result<Binding, ListenError> => {
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
    const key = Stack.keyOf(stack, Stack.advertisedTransforms(stack, address))
    const told: Transport.StackOptions = { authenticates: Stack.authenticates(stack), key, dial }
    return { address, stack, bind: (onAccepted, hears) => bind(onAccepted, { ...told, ...hears }), upgrade }
  })
}

/** The bindings for an address that is to be reached only from `scopes`. By default the address as it is. */
const narrowed = (
  environment: Environment,
  whole: Binding,
  scopes: Scopes | undefined
): Result.Result<ReadonlyArray<Binding>, ListenError> => {
  if (scopes === undefined) return Result.succeed([whole])
  const { address, stack } = whole
  const sections = Arr.dedupe([scopes].flat().flatMap((scope) => stack.transport.narrow(address.transport, scope)))
  if (sections.length > 0) {
    const { transforms } = address
    return Result.all(sections.map((transport) => bindingFor(environment, new Address({ transport, transforms }))))
  }
  const reason = new NotListenable({ detail: `no interface of this machine is ${[scopes].flat().join(" or ")}` })
  return Result.fail(new ListenError({ address: format(address), reason }))
}

/** The bindings for all addresses, or why one of them can't be bound. */
export const bindingsFor = (
  environment: Environment,
  addresses: MultiAddress,
  scopes: Scopes | undefined
): Result.Result<ReadonlyArray<Binding>, ListenError> =>
  Result.gen(function* () {
    const whole = yield* Result.all(addresses.map((address) => bindingFor(environment, address)))
    const bindings = yield* Result.all(whole.map((each) => narrowed(environment, each, scopes)))
    return bindings.flat()
  })

/** An address of another server, such as a proxy, that leads to this listener. */
export interface Elsewhere {
  readonly address: Address
  /** From where it can be dialed. */
  readonly reach: Transport.Reach
}

/** The external addresses with this side's keys filled in, or the first that leads to no address of this listener. */
export const elsewhereFor = (
  { stacks }: Environment,
  bindings: ReadonlyArray<Binding>,
  external: ReadonlyArray<Address>
): Result.Result<ReadonlyArray<Elsewhere>, ListenError> =>
  Result.all(
    external.map(({ transforms, transport }) => {
      const written = new Address({ transport, transforms })
      // Its transforms may be written with this side's keys or without, as for listening.
      const own = bindings
        .map(({ address, stack }) => [address.transforms, Stack.advertisedTransforms(stack, address)] as const)
        .find((both) => both.some((each) => format(new Address({ transport, transforms: each })) === format(written)))
      if (own === undefined) {
        const names = transforms.map((section) => `~${sectionName(section)}`).join("") || "nothing over its transport"
        const detail = `it is given as external, but no address that is listened on has ${names} with this side's key`
        return Result.fail(new ListenError({ address: format(written), reason: new NotListenable({ detail }) }))
      }
      const address = new Address({ transport, transforms: own[1] })
      // When this side does not speak the stack, it takes the address as one that can be reached from anywhere.
      return Result.succeed({ address, reach: stacks.get(address.stack)?.transport.below(transport).reach ?? "public" })
    })
  )

/** A binding, and what its transport has bound for it. */
export interface Bound {
  readonly binding: Binding
  readonly bound: Transport.Bound
}

const advertisedFrom = (
  { binding: { address, stack }, bound }: Bound,
  scope: Transport.Reach,
  external: ReadonlyArray<string>
): ReadonlyArray<Address> => {
  const transforms = Stack.advertisedTransforms(stack, address)
  return stack.transport
    .advertise(bound.section, scope, external, bound.reach)
    .map((transport) => new Address({ transport, transforms }))
}

/** The addresses by which others dial what is bound, from within `scopes`. */
export const advertised = (
  bound: ReadonlyArray<Bound>,
  scopes: Scopes,
  hosts: ReadonlyArray<string>,
  elsewhere: ReadonlyArray<Elsewhere>
): ReadonlyArray<Address> => {
  const within = (scope: Transport.Reach): ReadonlyArray<Address> => [
    ...elsewhere.flatMap(({ address, reach }) => (reach === scope ? [address] : [])),
    ...bound.flatMap((each) => advertisedFrom(each, scope, hosts))
  ]
  return Arr.dedupeWith([scopes].flat().flatMap(within), (a, b) => format(a) === format(b))
}
