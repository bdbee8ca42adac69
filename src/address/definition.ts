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
   * Parses the text of one section, whose name is known already. Its data begins at `start`: after the colon, or past
   * the end of the text when there is no colon.
   */
  parse(text: string, start: number): Parsed<Section>
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
