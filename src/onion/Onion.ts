/**
 * `onion:NAME.onion:PORT`: onion services, through Tor's SOCKS5 proxy.
 *
 * The name goes to the proxy as it is. It is never looked up, and no dial bypasses the proxy. Policy is asked about the
 * address only, because there is no IP. To be reached as an onion service, run a `net` listener behind Tor's hidden
 * service (docs/onion.md).
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

/**
 * Where a SOCKS5 proxy listens: over TCP, or on a unix socket, as with Tor's `SocksPort unix:/run/tor/socks`.
 *
 * @category models
 * @since 0.1.0
 */
export type ProxyPlace = { readonly host: string; readonly port: number } | { readonly path: string }

/**
 * How Tor is reached.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Tor's SOCKS5 proxies, tried in order. By default 127.0.0.1, ports 9050 (Tor) and 9150 (Tor Browser). */
  readonly proxies?: readonly [ProxyPlace, ...ReadonlyArray<ProxyPlace>]
  /** Whether each dial gets a circuit of its own, by sending a random user and password. By default not. */
  readonly isolate?: boolean
  /** Whether names other than those of version 3 services (56 base32 characters) are dialed. By default not. */
  readonly anyName?: boolean
  /** How long connecting may take, unless the dial sets a time. By default 60 seconds: circuits are slow to build. */
  readonly timeout?: Duration.Input
}

const torProxies: NonNullable<Options["proxies"]> = [
  { host: "127.0.0.1", port: 9050 },
  { host: "127.0.0.1", port: 9150 }
]

const version3 = /(^|\.)[a-z2-7]{56}\.onion$/i

const placeText = (place: ProxyPlace): string => ("path" in place ? place.path : `${place.host}:${place.port}`)

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port <= 65_535

/** Why there can't be a proxy at a place; `undefined` when there can. */
const noPlace = (place: ProxyPlace): Proxy | undefined => {
  if ("path" in place) return undefined
  const none = (why: string) => new Proxy({ detail: `no proxy at ${placeText(place)}: ${why}`, isRetryable: false })
  if (!isPort(place.port)) return none("a port is 1 to 65535")
  // DNS would be asked for a `.onion` name.
  return kindOfHost(place.host) === "clear"
    ? undefined
    : none("its host must be an IP or a host name, and no onion service")
}

/**
 * Whether another try may succeed, by the words of the `socks` client, which has nothing else to tell its errors apart.
 * It can't where the proxy forbids or does not support the request, or rejects the password.
 */
const canSucceedLater = (socksMessage: string): boolean => !/NotAllowed|NotSupported|uthentication/.test(socksMessage)

/** Speaks SOCKS5 with the proxy that the socket is connected to. Afterwards the socket leads to the onion service. */
const exchange = (
  socket: net.Socket,
  place: ProxyPlace,
  section: Address.Onion,
  isolate: boolean
): Effect.Effect<void, Proxy> =>
  Effect.callback((resume) => {
    const leave = () => socket.off("data", hear).off("end", hangUp).off("close", hangUp)
    const refused = (message: string, isRetryable: boolean) => {
      leave()
      wire.destroy()
      const detail = `the proxy ${placeText(place)} did not connect: ${message}`
      resume(Effect.fail(new Proxy({ detail, isRetryable })))
    }
    // The client gets a stream of its own, fed byte by byte. So what follows the proxy's answer stays in the socket, as
    // does the end.
    let said = 0
    const wire = new Duplex({
      read: () => {},
      write: (chunk: Uint8Array, _encoding, done) => {
        said++
        // The client's second message is the user and password (it begins with 1) or, to a proxy that wants none, the
        // request. That dial would not be isolated.
        if (isolate && said === 2 && chunk[0] !== 1)
          refused("it does not ask for a user and password, so it can't isolate dials", false)
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
    // A half-open socket does not close at the peer's end, so `end` counts as a hang-up too.
    const hangUp = () => refused("it hung up", true)
    const credentials = isolate
      ? { userId: randomBytes(16).toString("hex"), password: randomBytes(16).toString("hex") }
      : {}
    const client = makeClient({
      // The socket is connected already. The client only checks these values.
      proxy: { host: "127.0.0.1", port: 1, type: 5, ...credentials },
      command: "connect",
      destination: { host: section.host, port: section.port }
    })
    client.on("error", ({ message }) => refused(message, canSucceedLater(message)))
    client.on("established", () => {
      granted = true
      leave()
      wire.destroy()
      socket.pause()
      // Later, because `hear` first puts back what follows the answer.
      queueMicrotask(() => resume(Effect.void))
    })
    socket.on("data", hear).on("end", hangUp).on("close", hangUp)
    // The proxy may have hung up before these listeners were added.
    if (socket.readableEnded || socket.destroyed) hangUp()
    else client.connect(wire)
    return Effect.sync(() => {
      leave()
      wire.destroy()
      socket.destroy()
    })
  })

/** Dials through one proxy. When that fails, nothing is left open. */
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

/**
 * The `onion` transport: dials onion services through Tor's SOCKS5 proxy. It does not listen. A dial that no proxy
 * connects fails with `Proxy`, which has the answer of each.
 *
 * @category layers
 * @since 0.1.0
 */
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
