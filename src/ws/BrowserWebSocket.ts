/**
 * `ws` and `wss` over the platform's own WebSocket, which browsers, workers, React Native, Deno and Node 22 have. They
 * dial, and can't listen. A byte stream over binary messages, as `WebSocket` of Node's door makes it, with what the
 * platform leaves out: docs/browser.md lists that.
 *
 * There is a half close only in a stack that authenticates, whose transforms signal the end of each side. In any other
 * stack `end` sends a Close, and what the peer has sent and has not arrived by then is lost.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import { DeniedByPolicy, NotDialable, type TransportReason, Unreachable } from "../DialError.ts"
import * as Link from "../Link.ts"
import { anonymous } from "../Peer.ts"
import { positive } from "../positive.ts"
import { printable, textOf } from "../printable.ts"
import * as Transport from "../Transport.ts"
import { BrowserPort, type WebSocketLike } from "./browserPort.ts"
import { isIp, reachOf } from "./browserReach.ts"

export type { WebSocketEvent, WebSocketLike } from "./browserPort.ts"

/**
 * A platform's class of WebSockets.
 *
 * @category models
 * @since 0.1.0
 */
export type WebSocketConstructor = new (url: string) => WebSocketLike

/**
 * Options of `ws` and `wss`. Each has a default. Making the layer throws for a number that is not more than 0.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How many bytes of a connection are kept until they are read. The platform can't make the peer wait, so a connection
   * that gets more fails with `Overflow`. By default 16 MiB.
   */
  readonly maxUnread?: number
  /**
   * How many bytes may be sent since the peer was last heard, on a platform whose WebSockets do not say what has left,
   * as React Native's. A connection that sends more fails with `Overflow`. By default 16 MiB.
   */
  readonly maxUnheard?: number
  /** The class of WebSockets to dial with. By default the global one. */
  readonly WebSocket?: WebSocketConstructor
}

/** The bounds of a connection, with their defaults. */
const boundsOf = ({ maxUnheard = 16 * 1024 * 1024, maxUnread = 16 * 1024 * 1024 }: Options) =>
  positive({ maxUnheard, maxUnread })

type Section = Address.Ws | Address.Wss

const urlOf = ({ _tag, host, path, port }: Section): string =>
  `${_tag}://${host.includes(":") ? `[${host}]` : host}:${port}${path}`

/** What names lead to is known only to the platform, so rules about IPs can't be obeyed for them. */
const denied = (host: string): DeniedByPolicy =>
  new DeniedByPolicy({
    detail: isIp(host)
      ? `may not dial ${host}`
      : `it has rules about IPs, and this platform does not say to which IP ${host} leads: dial an IP, or have no ` +
        "such rules"
  })

/** Makes a WebSocket, which begins to connect. */
const construct = (url: string, { WebSocket = globalThis.WebSocket }: Options): WebSocketLike | NotDialable => {
  if (typeof WebSocket !== "function") {
    return new NotDialable({ detail: "this platform has no WebSocket: pass one as an option" })
  }
  try {
    return new WebSocket(url)
  } catch (cause) {
    // It can't be a URL, or the page may not dial it: ws from a page that came over https, or a port that is blocked.
    return new NotDialable({ detail: `the platform refuses it: ${printable(textOf(cause))}`, cause })
  }
}

const dial = (
  section: Section,
  { authenticates, permits }: Transport.DialOptions,
  options: Options,
  bounds: ReturnType<typeof boundsOf>
): Effect.Effect<Link.Link, TransportReason, Scope.Scope> =>
  // Only the wait can be interrupted: before it and after it, an open WebSocket would be left.
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { host } = section
      if (!permits(isIp(host) ? host : Transport.unknownIp)) return yield* denied(host)
      const ws = construct(urlOf(section), options)
      if (ws instanceof NotDialable) return yield* ws
      const outcome = Deferred.makeUnsafe<void, TransportReason>()
      const port = new BrowserPort(
        ws,
        { halfClose: authenticates, ...bounds },
        {
          opened: () => Deferred.doneUnsafe(outcome, Effect.void),
          failed: (code, error) => {
            const cause = error instanceof Error ? { cause: error } : {}
            Deferred.doneUnsafe(outcome, Effect.fail(new Unreachable({ code: `WS_${code}`, ...cause })))
          }
        }
      )
      yield* Scope.addFinalizer(
        yield* Effect.scope,
        Effect.sync(() => port.destroy())
      )
      yield* restore(Deferred.await(outcome))
      const remote = new Address.Address({ transport: section, transforms: [] })
      return yield* Link.make(port, { remote, peer: anonymous })
    })
  )

const define = <S extends Section>(
  section: Schema.Codec<S, Address.Section>,
  cost: number,
  options: Options
): Transport.Definition<S> => {
  const bounds = boundsOf(options)
  return {
    section,
    cost,
    reach: ({ host }) => reachOf(host),
    toIps: true,
    notDialable: ({ host, port }) => {
      if (port === 0) return "port 0 is for listening"
      return host.includes("%") ? "this platform can't dial an IPv6 with a zone" : undefined
    },
    dial: (own, told) => dial(own, told, options, bounds)
  }
}

/**
 * The `ws` transport, to dial.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Transport.Transport<"ws">> =>
  Transport.layer("ws", define(Schema.toType(Address.Ws), 3, options))

/**
 * The `wss` transport, to dial. The platform checks the server's certificate.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSecure = (options: Options = {}): Layer.Layer<Transport.Transport<"wss">> =>
  Transport.layer("wss", define(Schema.toType(Address.Wss), 4, options))
