/**
 * Policy: which addresses this process may dial, and which sources may connect to it. Which keys may come in is decided
 * by a transform's `authorize`, which `makeKeys` can make. Read where a Multiserver layer is built. What the rules
 * answer may change at any time.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { formatPublicKey, type PublicKey, parsePublicKey } from "./Identity.ts"
import type * as Networks from "./Networks.ts"
import { type Options, rulesOf } from "./policy/lists.ts"
import { allowAll, type PolicyRules } from "./policy/rules.ts"

export { isPublic, type Lists, type Options } from "./policy/lists.ts"
export * from "./policy/rules.ts"

/**
 * The rules of a Multiserver, read where its layer is built. By default everything is allowed.
 *
 * @category references
 * @since 0.1.0
 */
export const Policy: Context.Reference<PolicyRules> = Context.Reference("effect-multiserver/Policy", {
  defaultValue: () => allowAll
})

// -----------------------------------------------------------------------------
// lists of networks
// -----------------------------------------------------------------------------

/**
 * Rules whose lists can be replaced.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reloadable {
  /** For `Layer.succeed(Policy, rules)`. */
  readonly rules: PolicyRules
  /** Replaces the lists. Open connections stay. If a text is not a network, it fails and changes nothing. */
  readonly replace: (options: Options) => Effect.Effect<void, Networks.NetworkError>
}

/**
 * Rules from lists of networks, which can be replaced.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Reloadable, Networks.NetworkError> =>
  Effect.map(Effect.fromResult(rulesOf(options)), (initial) => {
    let current = initial
    return {
      rules: {
        mayDial: (address, to) => current.mayDial(address, to),
        mayDialIp: (ip, address) => current.mayDialIp(ip, address),
        mayDialUnknownIp: (address) => current.mayDialUnknownIp?.(address) === true,
        mayConnect: (source, at) => current.mayConnect(source, at),
        order: (understood) => current.order(understood)
      },
      replace: (next) =>
        Effect.map(Effect.fromResult(rulesOf(next)), (rules) => {
          current = rules
        })
    }
  })

/**
 * Rules from lists of networks, which stay the same.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { NodeIdentity, NodeMultiserver, Policy } from "effect-multiserver/node"
 *
 * // For a program that dials addresses which others gave it: never into this machine or its network.
 * export const Live = NodeMultiserver.layer().pipe(
 *   Layer.provide(Policy.layer({ dial: { denyPrivate: true }, order: Policy.prefer("noise", "shs") })),
 *   Layer.provide(NodeIdentity.layerEphemeral)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, Networks.NetworkError> =>
  Layer.effect(
    Policy,
    Effect.map(make(options), ({ rules }) => rules)
  )

// -----------------------------------------------------------------------------
// lists of keys
// -----------------------------------------------------------------------------

/**
 * One of the keys does not parse. The error names its place in the list and not its text, which may be a secret.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyError extends Schema.TaggedError<KeyError>("effect-multiserver/KeyError")("KeyError", {
  /** Its place in the list, from 0. */
  index: Schema.Number
}) {
  override get message(): string {
    return `number ${this.index + 1} of the allowed keys is not a public key: write base64 of 32 bytes`
  }
}

/**
 * The public keys that may come in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Keys {
  /** `Shs.layer({ authorize: keys.authorize })`, and the same for other transforms that prove keys. */
  readonly authorize: (applicant: { readonly publicKey: PublicKey }) => Effect.Effect<boolean>
  /** Replaces the keys. Open connections stay. If a text is not a public key, it fails and changes nothing. */
  readonly replace: (keys: ReadonlyArray<string | PublicKey>) => Effect.Effect<void, KeyError>
}

const keySet = (keys: ReadonlyArray<string | PublicKey>): Result.Result<ReadonlySet<string>, KeyError> =>
  Result.map(
    Result.all(
      keys.map((key, index) => {
        const parsed = typeof key === "string" ? parsePublicKey(key) : key
        return parsed === undefined ? Result.fail(new KeyError({ index })) : Result.succeed(formatPublicKey(parsed))
      })
    ),
    (texts) => new Set(texts)
  )

/**
 * Lets in these keys and no others. They are public, and the applicant has proved its own, so a plain set is safe.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { NodeMultiserver, Policy } from "effect-multiserver/node"
 *
 * export const Live = Layer.unwrap(
 *   Effect.map(Policy.makeKeys(["ZMYOtahB0BwspMdkuFCoQdBWRKXlTZaoWkL/CbL34qI="]), ({ authorize }) =>
 *     NodeMultiserver.layer({ authorize })
 *   )
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeKeys = (keys: ReadonlyArray<string | PublicKey>): Effect.Effect<Keys, KeyError> =>
  Effect.map(Effect.fromResult(keySet(keys)), (initial) => {
    let current = initial
    return {
      authorize: ({ publicKey }) => Effect.sync(() => current.has(formatPublicKey(publicKey))),
      replace: (next) =>
        Effect.map(Effect.fromResult(keySet(next)), (own) => {
          current = own
        })
    }
  })
