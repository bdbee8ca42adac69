/**
 * Stacks: which protocols a Multiserver speaks, by name. `net~shs` is the transport `net` with the transform `shs` on
 * it.
 *
 * The names are literal types, and what a list of stacks requires is computed from them: a program that lacks the layer
 * of a protocol doesn't compile.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Address, Section } from "./Address.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import type { PublicKey } from "./Identity.ts"
import * as Link from "./Link.ts"
import * as Transform from "./Transform.ts"
import * as Transport from "./Transport.ts"

type Transforms<Names extends string> = Names extends `${infer First}~${infer Rest}`
  ? Transform.Transform<First> | Transforms<Rest>
  : Transform.Transform<Names>

/**
 * The services that a stack needs: `Transport<"net"> | Transform<"shs">` for `net~shs`.
 *
 * @category models
 * @since 0.1.0
 */
export type Requires<Stack extends string> = Stack extends `${infer First}~${infer Rest}`
  ? Transport.Transport<First> | Transforms<Rest>
  : Transport.Transport<Stack>

/**
 * Puts each of these transforms on each of these stacks, so that long lists stay short.
 *
 * @example
 * ```ts
 * import { Stack } from "effect-multiserver"
 *
 * const stacks = Stack.product(["net", "ws"], ["shs", "noise"])
 * console.log(stacks.join(" ")) // net~shs net~noise ws~shs ws~noise
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const product = <const Below extends string, const Above extends string>(
  below: ReadonlyArray<Below>,
  above: ReadonlyArray<Above>
): ReadonlyArray<`${Below}~${Above}`> =>
  below.flatMap((under) => above.map((over): `${Below}~${Above}` => `${under}~${over}`))

/**
 * A stack with its protocols.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stack {
  readonly name: string
  readonly transport: Transport.Shape
  readonly transforms: ReadonlyArray<Transform.Shape>
}

/**
 * Finds a stack's protocols in the context of the layer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resolve = <Name extends string>(context: Context.Context<Requires<Name>>, name: Name): Stack => {
  const [transport, ...transforms] = name.split("~")
  // The types of the list guarantee that the services are there, but they can't follow the splitting of a string.
  const given = context as Context.Context<unknown>
  const find = <I, S>(service: Context.Service<I, S>): S => Context.getUnsafe(given, service)
  return {
    name,
    transport: find(Transport.Transport(transport ?? "")),
    transforms: transforms.map((each) => find(Transform.Transform(each)))
  }
}

/**
 * Wraps a transport's link for one address: each transform wraps the link that the one below it made.
 *
 * @category models
 * @since 0.1.0
 */
export type Upgrade = (link: Link.Link) => Effect.Effect<Link.Link, HandshakeError>

/**
 * Whether the stack authenticates its peer.
 *
 * @category accessors
 * @since 0.1.0
 */
export const authenticates = (stack: Stack): boolean => stack.transforms.some((shape) => shape.authenticates)

/**
 * How well the stack protects: as well as its strongest transform.
 *
 * @category accessors
 * @since 0.1.0
 */
export const strength = (stack: Stack): number => Math.max(0, ...stack.transforms.map((shape) => shape.strength))

/**
 * Whether the peer at these transform sections has to prove this key, and no other.
 *
 * @category accessors
 * @since 0.1.0
 */
export const proves = (stack: Stack, transforms: ReadonlyArray<Section>, key: PublicKey): boolean =>
  authenticates(stack) &&
  stack.transforms.every((shape, i) => {
    const section = transforms[i]
    const own = section && shape.key(section)
    return shape.authenticates ? own?.every((byte, j) => byte === key[j]) === true : own === undefined
  })

/**
 * The key that these transform sections ask for: the first one that a section names.
 *
 * @category accessors
 * @since 0.1.0
 */
export const keyOf = (stack: Stack, transforms: ReadonlyArray<Section>): PublicKey | undefined => {
  for (const [i, shape] of stack.transforms.entries()) {
    const section = transforms[i]
    const key = section && shape.key(section)
    if (key !== undefined) return key
  }
  return undefined
}

/**
 * The transform sections of an address as they are advertised: with what a dialer needs filled in.
 *
 * @category accessors
 * @since 0.1.0
 */
export const advertisedTransforms = (stack: Stack, address: Address): ReadonlyArray<Section> =>
  stack.transforms.flatMap((shape, i) => {
    const section = address.transforms[i]
    return section === undefined ? [] : [shape.advertise(section)]
  })

/**
 * The upgrade for an address of this stack. A failure says why one of the sections can't be used. No I/O.
 *
 * @category constructors
 * @since 0.1.0
 */
export const upgrade = (
  stack: Stack,
  address: Address,
  side: "outbound" | "inbound"
): Result.Result<Upgrade, Transform.Refusal> => {
  const below = stack.transport.below(address.transport)
  const [, ...names] = stack.name.split("~")
  const wraps: Array<Transform.Wrap> = []
  for (const [i, shape] of stack.transforms.entries()) {
    const wrap = shape[side](address.transforms[i] as Section, below, names.slice(i + 1))
    if (Result.isFailure(wrap)) return Result.fail(wrap.failure)
    wraps.push(wrap.success)
  }
  const [first, ...rest] = wraps
  if (first === undefined) return Result.succeed(Effect.succeed)
  return Result.succeed((link) =>
    Link.lay(link, (lower) => rest.reduce((wrapped, wrap) => Effect.flatMap(wrapped, wrap), first(lower)))
  )
}
