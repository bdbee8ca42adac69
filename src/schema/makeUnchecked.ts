/** Instances of schema classes without their checks. */
import type * as Schema from "effect/Schema"

/**
 * Makes an instance without the constructor's validation, for fields that have just been parsed or checked: validating
 * them again would take longer than parsing did.
 */
export const makeUnchecked = <A extends object, Fields extends Schema.Struct.Fields>(
  Class: { readonly prototype: A; readonly fields: Fields },
  fields: Schema.Struct.Type<Fields>
): A => Object.assign(Object.create(Class.prototype), fields)
