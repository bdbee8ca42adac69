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
    "Let in who holds this public key; can be repeated. Without it, every peer that passes the handshake"
  ),
  Flag.atLeast(0)
)

/** The keys; a list of them on a stack that proves none would look like a lock and be none. */
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

/** Every peer when no key is named. All keys are compared, so that the time tells nothing of which one it is. */
export const authorize =
  (keys: ReadonlyArray<Identity.PublicKey>) =>
  ({ publicKey }: { readonly publicKey: Identity.PublicKey }): Effect.Effect<boolean, never, Primitives> =>
    Primitives.useSync(({ equal }) => keys.length === 0 || keys.map((key) => equal(key, publicKey)).includes(true))
