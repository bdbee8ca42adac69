/** Keys and certificates for `wss`: given as PEM, or as the path of a file that is read when it is needed. */
import { createPrivateKey, X509Certificate } from "node:crypto"
import * as fs from "node:fs"
import * as nodeTls from "node:tls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Tls } from "../DialError.ts"
import { printable } from "../printable.ts"

/**
 * PEM text in `Redacted`, or the path of a PEM file.
 *
 * @category models
 * @since 0.1.0
 */
export type Pem = Redacted.Redacted<string | Uint8Array> | string

/**
 * A private key, and its certificate followed by the intermediate certificates.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  readonly key: Pem
  readonly cert: Pem
}

/**
 * Credentials that can be replaced while listeners use them. New connections get the new certificate, and open
 * connections stay as they are. Made by `makeCredentials`.
 *
 * @category models
 * @since 0.1.0
 */
export class LiveCredentials {
  /** The credentials in use. */
  current: Credentials
  /** What was read of them. The field is private, so that nothing that prints this object shows the key. */
  #options: nodeTls.SecureContextOptions
  private readonly servers = new Set<nodeTls.Server>()

  private constructor(current: Credentials, options: nodeTls.SecureContextOptions) {
    this.current = current
    this.#options = options
  }

  /** Reads the credentials. Fails with `Tls` when they can't be used. */
  static make(credentials: Credentials): Effect.Effect<LiveCredentials, Tls> {
    return Effect.map(secureOptions(credentials, undefined), (options) => new LiveCredentials(credentials, options))
  }

  /**
   * Uses other credentials from now on. When they can't be used, it fails with `Tls`, and the current ones stay in use.
   */
  replace(credentials: Credentials): Effect.Effect<void, Tls> {
    return Effect.map(secureOptions(credentials, undefined), (options) => {
      this.current = credentials
      this.#options = options
      for (const server of this.servers) server.setSecureContext(options)
    })
  }

  /** Reads the same files again, as after a renewal. Fails as `replace` does. */
  get reload(): Effect.Effect<void, Tls> {
    return Effect.suspend(() => this.replace(this.current))
  }

  /**
   * Sets these credentials on a server, and every replacement until the scope closes. The server is registered in the
   * same step, so that it misses no replacement.
   */
  showOn(server: nodeTls.Server): Effect.Effect<void, never, Scope.Scope> {
    return Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() => {
          this.servers.add(server)
          server.setSecureContext(this.#options)
        }),
        () => Effect.sync(() => this.servers.delete(server))
      )
    )
  }
}

const read = (pem: Pem): Effect.Effect<Buffer, Tls> =>
  typeof pem !== "string"
    ? Effect.sync(() => Buffer.from(Redacted.value(pem)))
    : Effect.callback((resume) =>
        fs.readFile(pem, (error, content) =>
          resume(
            error === null
              ? Effect.succeed(content)
              : Effect.fail(
                  new Tls({
                    code: error.code ?? "UNKNOWN",
                    detail: `can't read ${pem}`,
                    isRetryable: false,
                    cause: error
                  })
                )
          )
        )
      )

/**
 * Options for Node's TLS, with what was read of credentials, and of roots to trust instead of Node's own. Either may be
 * absent. Fails when Node can't use them.
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
    const unusable = "the key, the certificate or the CA can't be used"
    yield* Effect.try({
      try: () => {
        nodeTls.createSecureContext(options)
        // Node takes a CA without a certificate, and would trust nobody.
        for (const pem of options.ca ?? []) new X509Certificate(pem)
        // Deno's TLS takes anything, and reads it when a connection comes.
        const { cert, key } = options
        return !cert || !key || new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
      },
      catch: (error) => tlsError(error as NodeJS.ErrnoException, unusable)
    }).pipe(Effect.filterOrFail(Boolean, () => new Tls({ code: "UNKNOWN", detail: unusable, isRetryable: false })))
    return options
  })

/** Fails unless these roots can be trusted: each has to be a certificate. */
export const checkRoots = (ca: ReadonlyArray<Pem>): Effect.Effect<void, Tls> =>
  Effect.asVoid(secureOptions(undefined, ca))

/** The system's error codes for a connection that broke. They don't mean that the peer's TLS is at fault. */
const broken = /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN)$/

/** OpenSSL's errors for bytes that are not TLS at all, such as a plain HTTP server's. */
const notTls = /wrong[ _]version[ _]number|packet[ _]length[ _]too[ _]long|http[ _]request/i

/** Node may pass on OpenSSL's whole error line, with a thread and a source file. The reason is one field of it. */
const readable = (detail: string): string => /:SSL routines:[^:]*:([^:]+):/.exec(detail)?.[1] ?? detail

/** Node's message may quote the peer's certificate, so it is made printable. */
export const tlsError = (error: NodeJS.ErrnoException, detail = error.message): Tls => {
  const code = error.code ?? "UNKNOWN"
  const isTls = !notTls.test(`${code} ${detail}`)
  return new Tls({
    code,
    detail: isTls ? printable(readable(detail), 500) : "what answers there does not speak TLS",
    isRetryable: broken.test(code)
  })
}
