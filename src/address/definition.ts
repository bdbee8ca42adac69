/** How the section of a protocol is parsed and printed. The section's class has its definition as a static member. */
import type { Parsed } from "./fault.ts"
import type { Secret, SecretText } from "./secret.ts"

/** The key of that static member. */
export const definition: unique symbol = Symbol.for("effect-multiserver/address/definition")

/** A transport is an address's first section, transforms follow it. `unknown` can be either. */
export type Role = "transport" | "transform" | "unknown"

export interface Definition<Section> {
  /** The protocol's name, with which its sections begin. */
  readonly name: string
  readonly role: Role
  /**
   * Parses the data of one section, whose name is known already: the text from `start`, after the colon, to `end`.
   * Without a colon, `start` is past `end`. The section is read where it stands, since every slice costs time.
   */
  parse(text: string, start: number, end: number, name: string): Parsed<Section>
  /** The text of the section, with its secret as `secretText` writes it. */
  print(section: Section, secretText: SecretText): string
  /** Only where a section can hold a secret. */
  readonly secret?: {
    find(section: Section): Secret | undefined
    remove(section: Section): Section
    /** The section with this secret; `undefined` when it has no key, and so can't hold one. */
    put(section: Section, secret: Secret): Parsed<Section> | undefined
  }
}
