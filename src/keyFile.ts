/** The identity in the file that `MULTISERVER_KEY_FILE` names, for programs and for the command. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { IdentityError, type KeyPair, parseSecretFile } from "./Identity.ts"
import { readSecretFile } from "./secretFile.ts"
import { variables } from "./variables.ts"

/** Reads a secret file as `Identity.load` does, but without checks where systemd has made it for this service. */
export const loadKeyFile = (path: string): Effect.Effect<KeyPair, IdentityError, FileSystem.FileSystem> => {
  const source = `${variables.keyFile.name}: ${path}`
  return readSecretFile(path).pipe(
    Effect.mapError((reason) => new IdentityError({ source, reason })),
    Effect.flatMap((text) => parseSecretFile(source, text))
  )
}
