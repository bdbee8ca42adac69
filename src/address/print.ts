/** Prints addresses. */
import * as Redacted from "effect/Redacted"
import { encodeBase64 } from "../crypto/base64.ts"
import type { SecretText } from "./secret.ts"
import { definitionOf, type Section } from "./section.ts"

/** What an address consists of. */
export interface AddressFields {
  readonly transport: Section
  readonly transforms: ReadonlyArray<Section>
}

const escape = (text: string): string => (/[~!]/.test(text) ? text.replace(/[~!]/g, "!$&") : text)

const printSection = (section: Section, secretText: SecretText): string =>
  escape(definitionOf(section).print(section, secretText))

/** The text of an address or a multi-address, with secrets as `secretText` writes them. */
export const printWith =
  (secretText: SecretText) =>
  (self: AddressFields | ReadonlyArray<AddressFields>): string =>
    "transport" in self
      ? self.transforms.reduce(
          (before, transform) => `${before}~${printSection(transform, secretText)}`,
          printSection(self.transport, secretText)
        )
      : self.map(printWith(secretText)).join(";")

/** With `<redacted>` in the place of each secret. */
export const printRedacted = printWith(() => "<redacted>")

/** With the secrets themselves. */
export const printRevealed = printWith((secret) => encodeBase64(Redacted.value(secret)))
