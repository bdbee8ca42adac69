/** Keys and certificates for `wss`: given as PEM, or as the path of a file that is read when it is needed. */
import * as fs from "node:fs"
import * as nodeTls from "node:tls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { Tls } from "../DialError.ts"

/** PEM in `Redacted`, or the path of a file with it. */
export type Pem = Redacted.Redacted<string | Uint8Array> | string

/** A key with its certificate, and after that the ones that lead to its root. */
export interface Credentials {
  readonly key: Pem
  readonly cert: Pem
}

const read = (pem: Pem): Effect.Effect<Buffer, Tls> =>
  typeof pem !== "string"
    ? Effect.sync(() => Buffer.from(Redacted.value(pem)))
    : Effect.callback((resume) =>
        fs.readFile(pem, (error, content) =>
          resume(
            error === null
              ? Effect.succeed(content)
              : Effect.fail(new Tls({ code: error.code ?? "UNKNOWN", detail: `can't read ${pem}` }))
          )
        )
      )

/**
 * Options for Node's TLS, which it takes: roots to trust instead of the system's, and credentials. Each may be absent.
 */
export const secureOptions = (
  credentials: Credentials | undefined,
  ca: ReadonlyArray<Pem> | undefined
): Effect.Effect<nodeTls.SecureContextOptions, Tls> =>
  Effect.gen(function* () {
    const options = {
      ...(credentials && { key: yield* read(credentials.key), cert: yield* read(credentials.cert) }),
      ...(ca && { ca: yield* Effect.forEach(ca, read) })
    }
    yield* Effect.try({
      try: () => nodeTls.createSecureContext(options),
      catch: (error) => tlsError(error as NodeJS.ErrnoException, "the key, the certificate or the CA can't be used")
    })
    return options
  })

export const tlsError = (error: NodeJS.ErrnoException, detail = error.message): Tls =>
  new Tls({ code: error.code ?? "UNKNOWN", detail })
