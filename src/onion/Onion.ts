/**
 * `onion:NAME.onion:PORT`: onion services, through Tor's SOCKS5 proxy.
 *
 * The name goes to the proxy as it is: it is never looked up, and nothing is dialed without the proxy. Policy is asked
 * for the address; there is no IP to ask it for. To be reached, a `net` listener stands behind Tor's hidden service
 * (docs/onion.md).
 */
import { randomBytes } from "node:crypto"
import * as net from "node:net"
import { Duplex } from "node:stream"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import { kindOfHost } from "../address/host.ts"
import { Proxy, type TransportReason } from "../DialError.ts"
import { inOwnScope } from "../inOwnScope.ts"
import type { Link } from "../Link.ts"
import { fdRoom } from "../sockets/fdRoom.ts"
import { codeOf } from "../sockets/reasons.ts"
import { connected, opened, overSocket, type Reading, reading } from "../sockets/streamSocket.ts"
import * as Transport from "../Transport.ts"
import { makeClient } from "./socksClient.ts"

/** Where a SOCKS5 proxy listens: over TCP, or on a unix socket as Tor's `SocksPort unix:/run/tor/socks` has it. */
export type ProxyPlace = { readonly host: string; readonly port: number } | { readonly path: string }

/** How Tor is reached. */
export interface Options {
  /** Tried in order. By default those of Tor and of the Tor Browser: 127.0.0.1, ports 9050 and 9150. */
  readonly proxies?: readonly [ProxyPlace, ...ReadonlyArray<ProxyPlace>]
  /** Whether each dial gets a circuit of its own, by a random user and password. By default not. */
  readonly isolate?: boolean
  /** Whether names other than those of version 3 services (56 base32 characters) are dialed. By default not. */
  readonly anyName?: boolean
  /** How long a dial may take, unless it says otherwise. By default 60 seconds: circuits are slow to build. */
  readonly timeout?: Duration.Input
}

const torProxies: NonNullable<Options["proxies"]> = [
  { host: "127.0.0.1", port: 9050 },
  { host: "127.0.0.1", port: 9150 }
]

const version3 = /(^|\.)[a-z2-7]{56}\.onion$/i

const placeText = (place: ProxyPlace): string => ("path" in place ? place.path : `${place.host}:${place.port}`)

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port <= 65_535

/** Why no proxy can listen there. */
const noPlace = (place: ProxyPlace): Proxy | undefined => {
  if ("path" in place) return undefined
  const none = (why: string) => new Proxy({ detail: `no proxy at ${placeText(place)}: ${why}`, isRetryable: false })
  if (!isPort(place.port)) return none("a port is 1 to 65535")
  // DNS would be asked for it.
  return kindOfHost(place.host) === "clear"
    ? undefined
    : none("its host can't be an onion service, nor what is no host")
}

/** What the proxy says of a host; `NotAllowed`, an address of the wrong type and the like stay as they are. */
const isRetryable = (detail: string): boolean => !/NotAllowed|NotSupported|uthentication/.test(detail)

/** The proxy's part: from a socket that is connected to it to one that is connected to the host. */
const exchange = (
  socket: net.Socket,
  place: ProxyPlace,
  section: Address.Onion,
  isolate: boolean
): Effect.Effect<void, Proxy> =>
  Effect.callback((resume) => {
    const leave = () => socket.off("data", hear).off("end", hangUp).off("close", hangUp)
    const refused = (message: string) => {
      leave()
      wire.destroy()
      const detail = `the proxy ${placeText(place)} did not connect: ${message}`
      resume(Effect.fail(new Proxy({ detail, isRetryable: isRetryable(message) })))
    }
    // The client has a wire of its own, fed byte by byte: what follows the answer never leaves the socket, nor does its
    // end.
    let said = 0
    const wire = new Duplex({
      read: () => {},
      write: (chunk: Uint8Array, _encoding, done) => {
        said++
        // Its second word is the user, or to a proxy that wants none the request: that would be a dial that is not
        // isolated.
        if (isolate && said === 2 && chunk[0] !== 1)
          refused("it takes no user by authentication, so it isolates nobody")
        else socket.write(chunk)
        done()
      }
    })
    let granted = false
    const hear = (chunk: Uint8Array) => {
      for (let at = 0; at < chunk.length; at++) {
        if (granted) return socket.unshift(chunk.subarray(at))
        wire.push(chunk.subarray(at, at + 1))
      }
    }
    // With half-open sockets, a proxy that hangs up is only heard here.
    const hangUp = () => refused("it hung up")
    const credentials = isolate
      ? { userId: randomBytes(16).toString("hex"), password: randomBytes(16).toString("hex") }
      : {}
    const client = makeClient({
      // It is connected to already, so this is for the client's checks alone.
      proxy: { host: "127.0.0.1", port: 1, type: 5, ...credentials },
      command: "connect",
      destination: { host: section.host, port: section.port }
    })
    client.on("error", ({ message }) => refused(message))
    client.on("established", () => {
      granted = true
      leave()
      wire.destroy()
      socket.pause()
      // After the rest of what is being heard was put back.
      queueMicrotask(() => resume(Effect.void))
    })
    socket.on("data", hear).on("end", hangUp).on("close", hangUp)
    // It may have hung up before this step listened.
    if (socket.readableEnded || socket.destroyed) hangUp()
    else client.connect(wire)
    return Effect.sync(() => {
      leave()
      wire.destroy()
      socket.destroy()
    })
  })

/** Through one proxy, or nothing is left. */
const through = (
  place: ProxyPlace,
  section: Address.Onion,
  isolate: boolean
): Effect.Effect<net.Socket, Proxy, Scope.Scope> =>
  connected(
    opened(
      () => net.connect({ ...place, noDelay: true, keepAlive: true, allowHalfOpen: true }),
      (error) =>
        new Proxy({ detail: `no proxy at ${placeText(place)} (${codeOf(error)})`, isRetryable: true, cause: error })
    )
  ).pipe(
    Effect.tap((socket) => exchange(socket, place, section, isolate)),
    inOwnScope,
    Effect.map(({ value }) => value)
  )

/** Onion services, to dial. */
export const layer = (options: Options = {}): Layer.Layer<Transport.Transport<"onion">> => {
  const { anyName = false, isolate = false, proxies = torProxies } = options
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "60 seconds")
  const dial = (
    section: Address.Onion,
    told: Transport.DialOptions,
    reading: Reading
  ): Effect.Effect<Link, TransportReason, Scope.Scope> =>
    Effect.gen(function* () {
      const refusals: Array<Proxy> = []
      for (const place of proxies) {
        const wrong = noPlace(place)
        const outcome = yield* Effect.result(
          wrong === undefined ? through(place, section, isolate) : Effect.fail(wrong)
        )
        if (Result.isSuccess(outcome)) return yield* overSocket(outcome.success, section, reading, told)
        refusals.push(outcome.failure)
      }
      const detail = refusals.map((refusal) => refusal.detail).join("; ")
      return yield* new Proxy({ detail, isRetryable: refusals.some((refusal) => refusal.isRetryable) })
    })
  return Layer.effect(
    Transport.Transport("onion"),
    Effect.map(reading, (reading) =>
      Transport.make({
        section: Schema.toType(Address.Onion),
        cost: 9,
        room: fdRoom,
        connectTimeout: timeout,
        reach: () => "public",
        notDialable: ({ host, port }) => {
          if (port === 0) return "port 0 is for listening"
          return anyName || version3.test(host)
            ? undefined
            : "not the name of an onion service: 56 characters before .onion"
        },
        dial: (section, told) => dial(section, told, reading)
      })
    )
  )
}
