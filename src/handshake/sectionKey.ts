/** Whether a section with a key can be dialed, and whether it can be listened on by a listener that has one key. */
import type { Primitives } from "../crypto/Primitives.ts"
import { formatPublicKey, type PublicKey } from "../crypto/publicKey.ts"

/** Why a section can't be listened on: it has another key than this side's, or a secret, which is for a dialer. */
export const notOwnKey = (
  { equal }: Primitives["Service"],
  own: PublicKey,
  given: PublicKey | undefined,
  /** What the secret is called, where the section has one. */
  secret: "seed" | "token" | undefined
): string | undefined => {
  if (secret !== undefined) return `the ${secret} in it is for a dialer; a listener speaks as its own identity`
  if (given === undefined || equal(given, own)) return undefined
  return `its key is ${formatPublicKey(given)}, and this listener's is ${formatPublicKey(own)}`
}

/** Why a section can't be dialed: it has no key. */
export const noKey = (protocol: string, given: PublicKey | undefined): string | undefined =>
  given === undefined ? `${protocol} needs the key of the peer: ${protocol}:KEY` : undefined
