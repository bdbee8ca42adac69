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

/**
 * An instance that has no fields yet. It is for parsers. The caller has to set every field at once: the compiler does
 * not see a missing one, but the properties of addresses do (test/property). This takes a fifth of the time of
 * `makeUnchecked`, whose `Object.assign` copies fields that V8 does not know beforehand.
 */
export const blank = <A extends object>(Class: { readonly prototype: A }): { -readonly [K in keyof A]: A[K] } =>
  Object.create(Class.prototype)
