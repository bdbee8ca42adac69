/** Whose keys the command uses: its own identity, and the app key of its network. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type AppKey, mainNetwork, parseAppKey } from "../AppKey.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import * as Identity from "../Identity.ts"
import { type LocalError, UsageError } from "./exit.ts"
import { readValue } from "./files.ts"

export const flags = {
  keyFile: Flag.String("key-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      "The secret file to speak as (see keygen); without it, a new key that is forgotten at the end"
    ),
    Flag.optional
  ),
  appKey: Flag.String("app-key").pipe(
    Flag.withMetavar("BASE64"),
    Flag.withDescription("The key of the network; without it, Secure Scuttlebutt's main network"),
    Flag.optional
  ),
  appKeyFile: Flag.String("app-key-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Read the key of the network from a file"),
    Flag.optional
  )
}

/** The identity of `--key-file`, or a new one. */
export const identity = (
  keyFile: Option.Option<string>
): Layer.Layer<Identity.Identity, Identity.IdentityError, FileSystem.FileSystem | Primitives> =>
  Option.isSome(keyFile) ? Identity.layerFile(keyFile.value) : Identity.layerEphemeral

export interface Input {
  readonly keyFile: Option.Option<string>
  readonly appKey: Option.Option<string>
  readonly appKeyFile: Option.Option<string>
}

/** The app key that was given, or the main network's. */
export const appKey = (input: Input): Effect.Effect<AppKey, UsageError | LocalError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    if (Option.isSome(input.appKey) && Option.isSome(input.appKeyFile)) {
      return yield* new UsageError({ kind: "Conflict", message: "both --app-key and --app-key-file: take one of them" })
    }
    const text = Option.isSome(input.appKeyFile)
      ? yield* readValue(input.appKeyFile.value)
      : Option.getOrUndefined(input.appKey)
    const key = text === undefined ? mainNetwork : parseAppKey(text)
    return key ?? (yield* new UsageError({ kind: "BadValue", message: "the app key is not base64 of 32 bytes" }))
  })
