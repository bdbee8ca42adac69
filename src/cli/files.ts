import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { type LocalError, localError } from "./exit.ts"

/** The text of a file that holds one value, without the white space around it. */
export const readValue = (path: string): Effect.Effect<string, LocalError, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((fs) => fs.readFileString(path)).pipe(
    Effect.map((text) => text.trim()),
    Effect.mapError(localError(`cannot read ${path}`))
  )
