/** Instances of schema classes without their checks. */
import type * as Schema from "effect/Schema"

/**
 * An instance without the constructor's pass over its schema: for fields that have just been parsed or checked, where
 * that pass takes longer than all that came before it.
 */
export const makeUnchecked = <A extends object, Fields extends Schema.Struct.Fields>(
  Class: { readonly prototype: A; readonly fields: Fields },
  fields: Schema.Struct.Type<Fields>
): A => Object.assign(Object.create(Class.prototype), fields)
