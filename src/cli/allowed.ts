/** Who is let in: the keys of `--allow`. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type * as Address from "../Address.ts"
import { Primitives } from "../crypto/Primitives.ts"
import * as Identity from "../Identity.ts"
import { UsageError } from "./exit.ts"
import * as Stacks from "./stacks.ts"

export const flag = Flag.String("allow").pipe(
  Flag.withMetavar("KEY"),
  Flag.withDescription(
    "Let in the peer that holds this public key; can be repeated. Without it, every peer that passes the handshake"
  ),
  Flag.atLeast(0)
)

/** The keys of `--allow`. Refused on a stack that does not authenticate, where the list would keep nobody out. */
export const parse = (
  texts: ReadonlyArray<string>,
  addresses: Address.MultiAddress
): Effect.Effect<ReadonlyArray<Identity.PublicKey>, UsageError> =>
  Effect.gen(function* () {
    const keys = texts.flatMap((text) => Identity.parsePublicKey(text) ?? [])
    if (keys.length < texts.length) {
      return yield* new UsageError({ kind: "BadValue", message: "--allow takes base64 of a 32-byte public key" })
    }
    const open = addresses.find((each) => !Stacks.authenticates(each.stack))
    if (keys.length > 0 && open !== undefined) {
      const message = `--allow: ${open.stack} does not authenticate its peers`
      return yield* new UsageError({ kind: "Conflict", message })
    }
    return keys
  })

/** Lets in every peer if there are no keys. Compares all keys, so that the time does not tell which one matches. */
export const authorize =
  (keys: ReadonlyArray<Identity.PublicKey>) =>
  ({ publicKey }: { readonly publicKey: Identity.PublicKey }): Effect.Effect<boolean, never, Primitives> =>
    Primitives.useSync(({ equal }) => keys.length === 0 || keys.map((key) => equal(key, publicKey)).includes(true))
