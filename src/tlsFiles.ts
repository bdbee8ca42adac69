/** The PEM files for wss that variables name, and what is in them. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import { fileSystem } from "./fileSystem.ts"
import { readSecretFile } from "./secretFile.ts"
import { invalid, readPath, unreadable, type Variable, variables } from "./variables.ts"
import { checkRoots } from "./ws/tls.ts"
import { type Credentials, type LiveCredentials, makeCredentials, type SecureOptions } from "./ws/WebSocket.ts"

const { tlsCaFile, tlsCertFile, tlsKeyFile } = variables

/** The paths of the files. A variable that is not set names none. */
export interface TlsFiles {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
}

export const none: TlsFiles = { ca: undefined, cert: undefined, key: undefined }

/** The files of the variables. Fails when there is a key without a certificate, or a certificate without a key. */
export const config: Config.Config<TlsFiles> = Config.all({
  ca: readPath(tlsCaFile),
  cert: readPath(tlsCertFile),
  key: readPath(tlsKeyFile)
}).pipe(
  Config.mapEffect((files) => {
    if ((files.key === undefined) === (files.cert === undefined)) return Effect.succeed(files)
    const [given, missing] = files.key === undefined ? [tlsCertFile, tlsKeyFile] : [tlsKeyFile, tlsCertFile]
    return Effect.fail(unreadable(given, `it needs ${missing.name} too`))
  })
)

type Read<A> = Effect.Effect<A, Config.ConfigError, FileSystem.FileSystem>

/** Reads a file, and names its variable and its path when that fails. */
const reading = <E extends { readonly message: string }, R>(
  variable: Variable,
  path: string,
  read: Effect.Effect<string, E, R>
): Effect.Effect<Redacted.Redacted<string>, Config.ConfigError, R> =>
  Effect.mapBoth(read, {
    onFailure: ({ message }) => unreadable(variable, `${path}: ${message}`),
    onSuccess: (text) => Redacted.make(text)
  })

const readPublic = (variable: Variable, path: string): Read<Redacted.Redacted<string>> =>
  reading(
    variable,
    path,
    Effect.flatMap(fileSystem, (fs) => fs.readFileString(path))
  )

/** The key and the certificate, if the variables name them. Fails if other users have any right to the key's file. */
export const credentials = ({ cert, key }: TlsFiles): Read<Credentials | undefined> =>
  cert === undefined || key === undefined
    ? Effect.undefined
    : Effect.all({
        key: reading(tlsKeyFile, key, readSecretFile(key)),
        cert: readPublic(tlsCertFile, cert)
      })

/** The same, after Node's TLS has taken them. */
export const liveCredentials = (files: TlsFiles): Read<LiveCredentials | undefined> =>
  Effect.flatMap(credentials(files), (given) =>
    given === undefined
      ? Effect.undefined
      : Effect.mapError(makeCredentials(given), ({ message }) =>
          invalid(`${tlsKeyFile.name} and ${tlsCertFile.name}: ${message}`)
        )
  )

/** The roots to trust, if the variable names a file of them. */
export const trust = ({ ca }: TlsFiles): Read<Pick<SecureOptions, "ca">> =>
  ca === undefined
    ? Effect.succeed({})
    : Effect.flatMap(readPublic(tlsCaFile, ca), (pem) =>
        Effect.mapBoth(checkRoots([pem]), {
          onFailure: ({ message }) => unreadable(tlsCaFile, `${ca}: ${message}`),
          onSuccess: () => ({ ca: pem })
        })
      )
