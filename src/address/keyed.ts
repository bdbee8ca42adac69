/** `NAME[:KEY[:SECRET]]`, the form of a section that names a peer by its public key. */
import * as Result from "effect/Result"
import { BadKey } from "../AddressError.ts"
import { formatPublicKey, type PublicKey, parsePublicKey } from "../crypto/publicKey.ts"
import { fault, type Parsed, type ReasonClass } from "./fault.ts"
import type { Secret, SecretKind, SecretText } from "./secret.ts"

export const keyExpected = "base64 of a 32-byte public key"

interface Keyed {
  readonly publicKey?: PublicKey
  readonly secret?: Secret
}

/** Parses `[KEY[:SECRET]]` from `start` on. */
export const parseKeyed = (
  text: string,
  start: number,
  { expected, parse }: SecretKind,
  BadSecret: ReasonClass
): Parsed<Keyed> => {
  if (start > text.length) return Result.succeed({})
  const colon = text.indexOf(":", start)
  const publicKey = parsePublicKey(text.slice(start, colon < 0 ? undefined : colon))
  if (publicKey === undefined) return fault(BadKey, start, keyExpected)
  if (colon < 0) return Result.succeed({ publicKey })
  const secret = parse(text.slice(colon + 1))
  return secret === undefined ? fault(BadSecret, colon + 1, expected) : Result.succeed({ publicKey, secret })
}

export const printKeyed = (
  name: string,
  publicKey: PublicKey | undefined,
  secret: Secret | undefined,
  secretText: SecretText
): string => {
  if (publicKey === undefined) return name
  return `${name}:${formatPublicKey(publicKey)}${secret === undefined ? "" : `:${secretText(secret)}`}`
}
