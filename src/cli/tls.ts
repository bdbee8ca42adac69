/** Keys and certificates for wss, from PEM files that are read before anything else is done. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as TlsFiles from "../tlsFiles.ts"
import { variables } from "../variables.ts"
import { checkRoots } from "../ws/tls.ts"
import { type Credentials, type LiveCredentials, makeCredentials, type SecureOptions } from "../ws/WebSocket.ts"
import { LocalError, orDescriptor, UsageError } from "./exit.ts"
import * as Files from "./files.ts"
import { type Reporter, report } from "./reporter.ts"
import * as Signals from "./signals.ts"
import * as Used from "./used.ts"

const read = (path: string) => Effect.map(Files.readValue(path), (text) => Redacted.make(text))

/** Reads the private key. Fails if other users have any right to the file. */
const readKey = (path: string): Effect.Effect<Redacted.Redacted<string>, LocalError, Files.Needs> =>
  Files.readSecret(path).pipe(
    Effect.map((text) => Redacted.make(text.trim())),
    Effect.catchIf(
      (error) => error._tag !== "LocalError",
      (reason) => {
        const kind = reason._tag === "FileFailure" ? reason.kind : reason._tag
        const message = `--tls-key ${path}: ${reason.message}${orDescriptor("--tls-key", reason)}`
        return Effect.fail(new LocalError({ kind, message }))
      }
    )
  )

export interface Input {
  readonly tlsKey: Option.Option<string>
  readonly tlsCert: Option.Option<string>
}

/** What the flags are for. */
export const uses = ({ tlsCert, tlsKey }: Input): ReadonlyArray<Used.Given> =>
  Used.given(Option.isSome(tlsKey) || Option.isSome(tlsCert), "--tls-key, with --tls-cert,", "a wss address", "wss")

/** A file of a variable that can't be read. */
const badVariable = ({ message }: { readonly message: string }) => new UsageError({ kind: "BadVariable", message })

/** The key and the certificate of the flags, or else of the variables: both, or none. */
export const credentials = (
  { tlsCert, tlsKey }: Input,
  byDefault: TlsFiles.TlsFiles = TlsFiles.none
): Effect.Effect<Credentials | undefined, UsageError | LocalError, Files.Needs> => {
  if (Option.isSome(tlsKey) && Option.isSome(tlsCert)) {
    return Effect.all({ key: readKey(tlsKey.value), cert: read(tlsCert.value) })
  }
  return Option.isNone(tlsKey) && Option.isNone(tlsCert)
    ? Effect.mapError(TlsFiles.credentials(byDefault), badVariable)
    : Effect.fail(new UsageError({ kind: "Conflict", message: "--tls-key and --tls-cert: one needs the other" }))
}

/** Reads the files again at each SIGHUP until the scope closes, and reports whether that succeeded. */
const reloadedAtHangup = (
  live: LiveCredentials,
  input: Input,
  byDefault: TlsFiles.TlsFiles
): Effect.Effect<void, never, Files.Needs | Reporter | Scope.Scope> =>
  Effect.gen(function* () {
    const hangups = yield* Queue.sliding<void>(1)
    const onHangup = yield* Signals.OnHangup
    yield* onHangup(() => void Queue.offerUnsafe(hangups, undefined))
    const reload = credentials(input, byDefault).pipe(
      Effect.flatMap((next) => (next === undefined ? Effect.void : live.replace(next))),
      Effect.matchEffect({
        onSuccess: () =>
          report({ event: "reloaded", file: Option.getOrElse(input.tlsCert, () => byDefault.cert ?? "") }),
        onFailure: ({ message }) =>
          report({
            event: "warning",
            message: `the certificate was not reloaded, and the old one is shown: ${message}`
          })
      })
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Queue.take(hangups), reload)))
  })

/** Where the key and the certificate are from. */
const named = ({ tlsKey }: Input): string =>
  Option.isSome(tlsKey) ? "--tls-key and --tls-cert" : `${variables.tlsKeyFile.name} and ${variables.tlsCertFile.name}`

/** The key and certificate of a listener. They are read again at each SIGHUP, for example after a renewal. */
export const shown = (
  input: Input,
  byDefault: TlsFiles.TlsFiles,
  isReloaded = true
): Effect.Effect<LiveCredentials | undefined, UsageError | LocalError, Files.Needs | Reporter | Scope.Scope> =>
  Effect.gen(function* () {
    const given = yield* credentials(input, byDefault)
    if (given === undefined) return undefined
    const live = yield* Effect.mapError(
      makeCredentials(given),
      ({ code, message }) => new LocalError({ kind: code, message: `${named(input)}: ${message}` })
    )
    if (isReloaded) yield* reloadedAtHangup(live, input, byDefault)
    return live
  })

/** The root to trust of the flag, or else of the variable, as an option for wss. */
export const trust = (
  path: Option.Option<string>,
  byDefault: TlsFiles.TlsFiles
): Effect.Effect<Pick<SecureOptions, "ca">, UsageError | LocalError, Files.Needs> =>
  Option.isSome(path)
    ? Effect.flatMap(read(path.value), (ca) =>
        Effect.mapBoth(checkRoots([ca]), {
          onFailure: ({ code, message }) =>
            new LocalError({ kind: code, message: `--tls-ca ${path.value}: ${message}` }),
          onSuccess: () => ({ ca })
        })
      )
    : Effect.mapError(TlsFiles.trust(byDefault), badVariable)
