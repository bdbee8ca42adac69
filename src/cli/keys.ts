/** The keys that the command uses: its own identity, and the key of its network. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as AppKey from "../AppKey.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import * as Identity from "../Identity.ts"
import { loadKeyFile } from "../keyFile.ts"
import { type LocalError, UsageError } from "./exit.ts"
import { type Needs, nameOf, readSecret, readValue } from "./files.ts"

const load = (file: string): Effect.Effect<Identity.KeyPair, Identity.IdentityError | LocalError, Needs> =>
  readSecret(file).pipe(
    Effect.catchIf(
      (error) => error._tag !== "LocalError",
      (reason) => Effect.fail(new Identity.IdentityError({ source: file, reason }))
    ),
    Effect.flatMap((text) => Identity.parseSecretFile(nameOf(file), text))
  )

/** The identity of `--key-file`, or else of the variable, or else a new one. */
export const identity = (
  keyFile: Option.Option<string>,
  fromVariable: string | undefined
): Layer.Layer<Identity.Identity, Identity.IdentityError | LocalError, Needs | Primitives> => {
  if (Option.isSome(keyFile)) return Layer.effect(Identity.Identity, load(keyFile.value))
  return fromVariable === undefined
    ? Identity.layerEphemeral
    : Layer.effect(Identity.Identity, loadKeyFile(fromVariable))
}

export interface Input {
  readonly keyFile: Option.Option<string>
  readonly appKey: Option.Option<string>
  readonly appKeyFile: Option.Option<string>
}

/** The key of the network that a flag gives, or else that of the settings. */
export const appKey = (
  input: Input,
  byDefault: AppKey.AppKey
): Effect.Effect<AppKey.AppKey, UsageError | LocalError, Needs> =>
  Effect.gen(function* () {
    if (Option.isSome(input.appKey) && Option.isSome(input.appKeyFile)) {
      return yield* new UsageError({ kind: "Conflict", message: "both --app-key and --app-key-file: take one of them" })
    }
    const text = Option.isSome(input.appKeyFile)
      ? yield* readValue(input.appKeyFile.value)
      : Option.getOrUndefined(input.appKey)
    if (text === undefined) return byDefault
    return yield* Option.match(AppKey.parse(text), {
      onSome: Effect.succeed,
      onNone: () => Effect.fail(new UsageError({ kind: "BadValue", message: "the app key is not base64 of 32 bytes" }))
    })
  })
