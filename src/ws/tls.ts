/** Keys and certificates for `wss`: given as PEM, or as the path of a file that is read when it is needed. */
import * as fs from "node:fs"
import * as nodeTls from "node:tls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Tls } from "../DialError.ts"
import { printable } from "../printable.ts"

/** PEM in `Redacted`, or the path of a file with it. */
export type Pem = Redacted.Redacted<string | Uint8Array> | string

/** A key with its certificate, and after that the ones that lead to its root. */
export interface Credentials {
  readonly key: Pem
  readonly cert: Pem
}

/**
 * Credentials that can be replaced while listeners show them: new connections see the new ones, and those that are open
 * stay as they are. Made by `make`.
 */
export class LiveCredentials {
  /** What is shown now. */
  current: Credentials
  /** What was read of them. Nothing that prints this object sees the key. */
  #options: nodeTls.SecureContextOptions
  private readonly servers = new Set<nodeTls.Server>()

  private constructor(current: Credentials, options: nodeTls.SecureContextOptions) {
    this.current = current
    this.#options = options
  }

  /** Credentials that can be replaced. They are read, and fail when they can't be used. */
  static make(credentials: Credentials): Effect.Effect<LiveCredentials, Tls> {
    return Effect.map(secureOptions(credentials, undefined), (options) => new LiveCredentials(credentials, options))
  }

  /** Shows others from now on. When they can't be used, it fails and shows what it showed before. */
  replace(credentials: Credentials): Effect.Effect<void, Tls> {
    return Effect.map(secureOptions(credentials, undefined), (options) => {
      this.current = credentials
      this.#options = options
      for (const server of this.servers) server.setSecureContext(options)
    })
  }

  /** Reads the same files again, as after a renewal. */
  get reload(): Effect.Effect<void, Tls> {
    return Effect.suspend(() => this.replace(this.current))
  }

  /**
   * Shows them on a server, as long as the scope. In one step it shows what is current and is told of what comes, so
   * that nothing can be replaced in between.
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
              : Effect.fail(new Tls({ code: error.code ?? "UNKNOWN", detail: `can't read ${pem}`, cause: error }))
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

/** A peer's certificate may be quoted in what Node says. */
export const tlsError = (error: NodeJS.ErrnoException, detail = error.message): Tls =>
  new Tls({ code: error.code ?? "UNKNOWN", detail: printable(detail, 500) })
