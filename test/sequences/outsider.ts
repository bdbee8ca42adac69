/**
 * Those who come from outside: they speak no more of a protocol than they are told to, and hear whether they are still
 * wanted.
 */
import * as net from "node:net"
import * as tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as Address from "../../src/Address.ts"
import type { Link } from "../../src/Link.ts"
import type * as Transport from "../../src/Transport.ts"

export interface Outsider {
  /** How many bytes it was sent. */
  readonly received: number
  /** Whether nothing is left of its connection. */
  readonly closed: boolean
  readonly send: (bytes: Uint8Array) => void
  /** Says that it has said all. */
  readonly end: () => void
  readonly reset: () => void
}

const ignore = (): void => {}

export interface Place {
  readonly host: string
  readonly port: number
}

/** Over TCP, a unix socket, and what is laid over them. */
export class SocketOutsider implements Outsider {
  received = 0
  closed = false
  private readonly raw: net.Socket
  private stream: net.Socket
  /** Its messages go out as those of a WebSocket. */
  private isFramed = false

  private constructor(raw: net.Socket) {
    this.raw = raw
    this.stream = raw
    raw.on("error", ignore).on("close", () => {
      this.closed = true
    })
    raw.on("data", this.onData)
  }

  private readonly onData = (bytes: Uint8Array): void => {
    this.received += bytes.length
  }

  /** From when it is connected, or was turned away already. */
  /** A local port that another program has taken meanwhile is left to it. */
  static connect(options: net.NetConnectOpts): Promise<SocketOutsider> {
    return new Promise((resolve) => {
      const raw = net.connect(options)
      const outsider = new SocketOutsider(raw)
      let taken = false
      raw.once("error", (error) => (taken = "code" in error && error.code === "EADDRINUSE"))
      raw.once("connect", () => resolve(outsider))
      raw.once("close", () => resolve(taken ? SocketOutsider.connect({ ...options, localPort: 0 }) : outsider))
    })
  }

  get localPort(): number | undefined {
    return this.raw.localPort
  }

  send(bytes: Uint8Array): void {
    if (this.stream.writable) this.stream.write(this.isFramed ? frame(bytes) : bytes)
  }

  end(): void {
    this.stream.end()
  }

  reset(): void {
    // A unix socket has no reset: a peer that is gone is all that its other end sees.
    if (this.raw.remoteAddress === undefined) this.raw.destroy()
    else this.raw.resetAndDestroy()
  }

  /** TLS over what there is, whoever it is that answers. */
  secure(): Promise<void> {
    this.raw.off("data", this.onData)
    const secured = tls.connect({ socket: this.raw, rejectUnauthorized: false })
    this.stream = secured.on("error", ignore).on("data", this.onData)
    return new Promise((resolve) => {
      secured.once("secureConnect", () => resolve())
      this.raw.once("close", () => resolve())
    })
  }

  /** Asks for a WebSocket, in a way; resolves with the status of the answer, or nothing when there is none. */
  ask(lines: ReadonlyArray<string>): Promise<number | undefined> {
    return new Promise((resolve) => {
      this.stream.once("data", (answer: Buffer) => {
        const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer.toString("latin1"))?.[1])
        this.isFramed = status === 101
        resolve(status)
      })
      this.raw.once("close", () => resolve(undefined))
      this.stream.write(`${lines.join("\r\n")}\r\n\r\n`)
    })
  }

  /** The beginning of a request, and no more. */
  begin(line: string): void {
    this.stream.write(`${line}\r\n`)
  }
}

/** A binary message, masked with zeros. */
const frame = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Uint8Array.of(0x82, 0x80 | bytes.length, 0, 0, 0, 0), bytes])

/** Within the process: the bare transport, with nothing of the stack over it. */
export class LinkOutsider implements Outsider {
  received = 0
  closed = false
  private readonly link: Link
  private readonly scope: Scope.Closeable

  private constructor(link: Link, scope: Scope.Closeable) {
    this.link = link
    this.scope = scope
    link.port.listen({ readable: () => this.look(), drained: ignore })
  }

  static connect = (transport: Transport.Shape, section: Address.Section): Effect.Effect<LinkOutsider | undefined> =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const dial = yield* Effect.orDie(Effect.fromResult(transport.dial(section)))
      const options = {
        permits: () => true,
        resolve: undefined,
        lookingUp: <A, E, R>(lookup: Effect.Effect<A, E, R>) => lookup,
        spare: () => undefined,
        authenticates: true,
        key: undefined,
        dial: () => Effect.die("there is no peer to go through")
      }
      return yield* Effect.match(Scope.provide(dial(options), scope), {
        onSuccess: (link) => new LinkOutsider(link, scope),
        onFailure: () => undefined
      })
    })

  private look(): void {
    for (let chunks = this.link.port.take(); chunks !== undefined; chunks = this.link.port.take()) {
      for (const { length } of chunks) this.received += length
    }
    if (this.link.port.ended || this.link.port.failure !== undefined) this.reset()
  }

  send(bytes: Uint8Array): void {
    this.link.port.offer(bytes)
  }

  end(): void {
    this.link.port.end()
  }

  reset(): void {
    if (this.closed) return
    this.closed = true
    Effect.runSync(Scope.close(this.scope, Exit.fail("reset")))
  }
}
