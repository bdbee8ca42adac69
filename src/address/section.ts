/** One protocol's part of an address. Sections of built-in protocols are parsed; others are kept as written. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { Syntax } from "../AddressError.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import { type Definition, definition } from "./definition.ts"
import { fault } from "./fault.ts"
import * as BuiltIn from "./sections.ts"
import { isWritable, textThat } from "./text.ts"

const builtIn = Object.values(BuiltIn)
const names: ReadonlySet<string> = new Set(builtIn.map((each) => each[definition].name))

const nameExpected = "a protocol's name: lower-case letters, digits and -"
const isName = (name: string): boolean => /^[a-z][a-z0-9-]*$/.test(name)

/**
 * A section of a protocol that is not built in, kept as written. `data` is what follows the name, colon included.
 *
 * @category models
 * @since 0.1.0
 */
export class Opaque extends Schema.TaggedClass<Opaque>("effect-multiserver/Opaque")("opaque", {
  name: textThat(`${nameExpected}, not of a built-in protocol`, (name) => isName(name) && !names.has(name)),
  data: textThat(
    "nothing or a colon and what follows it, no ; and no white space",
    (data) => data === "" || (data.startsWith(":") && isWritable(data))
  )
}) {
  static readonly [definition]: Definition<Opaque> = {
    name: "opaque",
    role: "unknown",
    parse: (text, start, end, name) =>
      isName(name)
        ? Result.succeed(
            makeUnchecked(Opaque, { _tag: "opaque", name, data: start > end ? "" : text.slice(start - 1, end) })
          )
        : fault(Syntax, start - 1 - name.length, nameExpected),
    print: ({ data, name }) => name + data
  }
}

/**
 * One protocol's part of an address: a section of a built-in protocol, or an `Opaque` one.
 *
 * @category models
 * @since 0.1.0
 */
export const Section = Schema.Union([...builtIn, Opaque])
export type Section = typeof Section.Type

/**
 * The name of the section's protocol, as written in the address.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sectionName = (section: Section): string => (section._tag === "opaque" ? section.name : section._tag)

/** The definitions of the built-in protocols, by name. Each is only given sections of its own protocol. */
const definitions: ReadonlyMap<string, Definition<Section>> = new Map(
  builtIn.map((each) => [each[definition].name, each[definition]])
)

/** The definition for the protocol of this name. */
export const definitionFor = (name: string): Definition<Section> => definitions.get(name) ?? Opaque[definition]

/** The definition of this section's protocol. */
export const definitionOf = (section: Section): Definition<Section> => definitionFor(section._tag)

/** Whether a section has to be an address's first. */
export const isTransport = (section: Section): boolean => definitionOf(section).role === "transport"

/** Whether a section can't be an address's first. */
export const isTransform = (section: Section): boolean => definitionOf(section).role === "transform"

/**
 * Makes a codec for the sections of a protocol that is not built in. `data` is the codec for the text after `NAME:`.
 * Decoding fails for a section of another name. The text is never redacted, so put no secret in it.
 *
 * @example
 * ```ts
 * import { Result, Schema } from "effect"
 * import { Address } from "effect-multiserver"
 *
 * const Level = Address.section("zstd", Schema.FiniteFromString)
 * const [address] = Result.getOrThrow(Address.parse("net:pub.example:8008~zstd:3"))
 * console.log(Schema.decodeUnknownSync(Level)(address.transforms[0])) // 3
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const section = <A>(name: string, data: Schema.Codec<A, string>): Schema.Codec<A, Opaque> =>
  Schema.toType(Opaque).pipe(
    Schema.decodeTo(
      data,
      SchemaTransformation.transformEffect({
        decode: (opaque: Opaque) =>
          opaque.name === name
            ? Effect.succeed(opaque.data.slice(1))
            : Effect.fail(new SchemaIssue.InvalidValue({ message: `expected a section ${name}` })),
        encode: (text: string) => Opaque.makeEffect({ name, data: text === "" ? "" : `:${text}` })
      })
    )
  )
