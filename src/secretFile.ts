/** Reads a file that holds a secret: a private file, or a credential of systemd. */
import * as path from "node:path"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { FileFailure, type PrivateFileReason, readPrivate } from "./privateFile.ts"

/**
 * Whether the file is a credential, which systemd makes for this service alone. Its owner may be another user, and its
 * mode one that would let others read it: the permissions of its directory keep them out.
 */
const isCredential = (file: string): Effect.Effect<boolean, FileFailure> =>
  Config.String("CREDENTIALS_DIRECTORY").pipe(
    Config.withDefault(undefined),
    Effect.map((directory) => directory !== undefined && path.dirname(path.resolve(file)) === path.resolve(directory)),
    Effect.mapError(({ message }) => new FileFailure({ kind: "BadVariable", detail: message }))
  )

/** The text of the file. Fails if other users have any right to it, except where it is a credential. */
export const readSecretFile = (file: string): Effect.Effect<string, PrivateFileReason, FileSystem.FileSystem> =>
  Effect.flatMap(isCredential(file), (is) => readPrivate(file, is))
