/** `NAME[:KEY[:SECRET]]`, the form of a section that names a peer by its public key. */
import * as Result from "effect/Result"
import { BadKey } from "../AddressError.ts"
import { formatPublicKey, type PublicKey, parsePublicKeyWithin } from "../crypto/publicKey.ts"
import { fault, type Parsed, type ReasonClass } from "./fault.ts"
import type { Secret, SecretKind, SecretText } from "./secret.ts"
import { indexOrEnd } from "./text.ts"

export const keyExpected = "base64 of a 32-byte public key"

/** Parses `[KEY[:SECRET]]`, which stands from `start` to `end`, and makes a section of it. */
export const parseKeyed = <A>(
  text: string,
  start: number,
  end: number,
  { expected, parse }: SecretKind,
  BadSecret: ReasonClass,
  make: (publicKey?: PublicKey, secret?: Secret) => A
): Parsed<A> => {
  if (start > end) return Result.succeed(make())
  const colon = indexOrEnd(text, ":", start, end)
  const publicKey = parsePublicKeyWithin(text, start, colon)
  if (publicKey === undefined) return fault(BadKey, start, keyExpected)
  if (colon === end) return Result.succeed(make(publicKey))
  const secret = parse(text.slice(colon + 1, end))
  return secret === undefined ? fault(BadSecret, colon + 1, expected) : Result.succeed(make(publicKey, secret))
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
