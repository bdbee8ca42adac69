/**
 * Effect's `FileSystem`. In plain JavaScript, where no compiler says that it is missing, the defect names the layer
 * that gives it.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"

const missing = `Service not found: ${FileSystem.FileSystem.key} (NodeServices.layer of @effect/platform-node gives it)`

export const fileSystem: Effect.Effect<FileSystem.FileSystem, never, FileSystem.FileSystem> = Effect.flatMap(
  Effect.serviceOption(FileSystem.FileSystem),
  Option.match({ onNone: () => Effect.die(new Error(missing)), onSome: Effect.succeed })
)
