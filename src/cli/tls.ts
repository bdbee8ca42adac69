/** Keys and certificates for wss, from PEM files that are read before anything else is done. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Credentials, SecureOptions } from "../ws/WebSocket.ts"
import { LocalError, UsageError } from "./exit.ts"
import { type Needs, readSecret, readValue } from "./files.ts"

const file = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar("FILE"), Flag.withDescription(description), Flag.optional)

/** For who listens, and for who dials a server that asks. */
export const flags = {
  tlsKey: file("tls-key", "The private key of --tls-cert, PEM; - is stdin, /dev/fd/N an open descriptor"),
  tlsCert: file("tls-cert", "The certificate to show over wss, and then those that lead to its root; PEM")
}

/** For who dials. */
export const caFlag = file("tls-ca", "Trust this root over wss, instead of the system's; PEM")

const read = (path: string) => Effect.map(readValue(path), (text) => Redacted.make(text))

/** The private key, which nobody else may be able to read. */
const readKey = (path: string): Effect.Effect<Redacted.Redacted<string>, LocalError, Needs> =>
  readSecret(path).pipe(
    Effect.map((text) => Redacted.make(text.trim())),
    Effect.catchIf(
      (error) => error._tag !== "LocalError",
      (reason) => {
        const kind = reason._tag === "FileFailure" ? reason.kind : reason._tag
        return Effect.fail(new LocalError({ kind, message: `--tls-key ${path}: ${reason.message}` }))
      }
    )
  )

export interface Input {
  readonly tlsKey: Option.Option<string>
  readonly tlsCert: Option.Option<string>
}

/** The key and the certificate: both, or none. */
export const credentials = ({
  tlsCert,
  tlsKey
}: Input): Effect.Effect<Credentials | undefined, UsageError | LocalError, Needs> => {
  if (Option.isSome(tlsKey) && Option.isSome(tlsCert)) {
    return Effect.all({ key: readKey(tlsKey.value), cert: read(tlsCert.value) })
  }
  return Option.isNone(tlsKey) && Option.isNone(tlsCert)
    ? Effect.undefined
    : Effect.fail(new UsageError({ kind: "Conflict", message: "--tls-key and --tls-cert: one needs the other" }))
}

/** The root to trust, as an option for wss. */
export const trust = (path: Option.Option<string>): Effect.Effect<Pick<SecureOptions, "ca">, LocalError, Needs> =>
  Option.isSome(path) ? Effect.map(read(path.value), (ca) => ({ ca })) : Effect.succeed({})
