/** The identity of a process on Node: layers that need no `Primitives`, because they bring libsodium themselves. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Configuration from "./Configuration.ts"
import * as Sodium from "./crypto/Sodium.ts"
import * as Identity from "./Identity.ts"
import { loadKeyFile } from "./keyFile.ts"
import { check, invalid, readPath, variables } from "./variables.ts"

/**
 * A new random identity, which is lost when the layer is released.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerEphemeral: Layer.Layer<Identity.Identity> = Layer.provide(Identity.layerEphemeral, Sodium.layer)

/**
 * The identity in the secret file at `path`. If there is no such file, makes a new identity and saves it there.
 * `NodeServices.layer` of `@effect/platform-node` gives the `FileSystem`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFileOrCreate = (
  path: string
): Layer.Layer<Identity.Identity, Identity.IdentityError, FileSystem.FileSystem> =>
  Layer.provide(Identity.layerFileOrCreate(path), Sodium.layer)

const { keyFile, secret } = variables

const isSet = (name: string): Effect.Effect<boolean, Config.ConfigError> =>
  Effect.map(Config.withDefault(Config.String(name), undefined), (text) => text !== undefined)

/**
 * The identity in the secret file that `MULTISERVER_KEY_FILE` names, or else in `MULTISERVER_SECRET`, as
 * `Configuration.layerIdentity` reads it. The file is checked as `Identity.load` does, unless it is in systemd's
 * `CREDENTIALS_DIRECTORY`. Fails when neither variable is set, or both are. `NodeServices.layer` of
 * `@effect/platform-node` gives the `FileSystem`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<
  Identity.Identity,
  Identity.IdentityError | Config.ConfigError,
  FileSystem.FileSystem
> = Layer.unwrap(
  Effect.gen(function* () {
    yield* check((variable) => variable === keyFile || variable === secret)
    const path = yield* readPath(keyFile)
    const hasSecret = yield* isSet(secret.name)
    if (path === undefined) {
      if (hasSecret) return Layer.provide(Configuration.layerIdentity(), Sodium.layer)
      return yield* Effect.fail(
        invalid(`${keyFile.name}: there is no identity: name a secret file, or set ${secret.name}`)
      )
    }
    if (hasSecret) {
      return yield* Effect.fail(invalid(`${keyFile.name} and ${secret.name}: both are set; unset one of them`))
    }
    return Layer.effect(Identity.Identity, loadKeyFile(path))
  })
)
