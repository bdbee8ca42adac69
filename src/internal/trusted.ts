/** Values of schemas without their checks. */
import * as Brand from "effect/Brand"
import type * as Schema from "effect/Schema"
import type { PublicKey } from "../Identity.ts"

/**
 * An instance without the constructor's pass over its schema: for fields that have just been parsed or checked, where the pass
 * takes longer than what made them.
 */
export const trusted = <A extends object, Fields extends Schema.Struct.Fields>(
  Class: { readonly prototype: A; readonly fields: Fields },
  fields: Schema.Struct.Type<Fields>
): A => Object.assign(Object.create(Class.prototype), fields)

/** 32 bytes that are a public key. */
export const trustedPublicKey = Brand.nominal<PublicKey>()
