/**
 * One port that serves the page and is the bridge: what comes by WebSocket to /peer is relayed to a peer on TCP. The
 * page and the peer encrypt with `shs` from end to end, so the bridge passes on what it can't read.
 */
import * as http from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse, HttpStaticServer } from "effect/http"
import * as NetAddress from "effect/net/NetAddress"
import { Connection, Events, Multiserver, Net, Relay, WebSocket } from "effect-multiserver/node"

export interface Options {
  readonly port: number
  /** The folder with the built page. */
  readonly folder: string
  /** Where the peer listens, without its key: `net:127.0.0.1:8008`. */
  readonly to: string
}

const headers = {
  "content-security-policy": "default-src 'self'; connect-src ws:; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer"
}

/** What a browser has to know of each file. */
const Headers = HttpRouter.middleware(Effect.map(HttpServerResponse.setHeaders(headers)), { global: true })

/** Serves and relays as long as the scope. Gives the port. */
export const listen = ({ folder, port, to }: Options) =>
  Effect.gen(function* () {
    const server = http.createServer()
    const Files = Layer.merge(HttpStaticServer.layer({ root: folder }), Headers)
    const pages = yield* HttpRouter.serve(Files, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port })),
      Layer.build
    )
    const { address } = Context.get(pages, HttpServer.HttpServer)
    if (!NetAddress.isInetAddress(address)) return yield* Effect.die("the server has no port")
    // Only this page may use the bridge: it has no key of its own that could keep others out.
    const origins = [`http://127.0.0.1:${address.port}`, `http://localhost:${address.port}`]
    const speaks = yield* Multiserver.layer(["ws", "net"]).pipe(
      Layer.provide([WebSocket.layer({ server, exclusive: true, origins }), Net.layer()]),
      Layer.provide(Events.layerLog),
      Layer.build
    )
    const relay = (page: Connection.Connection) =>
      // A page that has left needs no peer.
      Effect.flatMap(Effect.raceFirst(Multiserver.dial(to), Connection.broken(page)), (peer) =>
        Relay.between(page, peer)
      )
    const listener = yield* Effect.provideContext(Multiserver.listen("ws://127.0.0.1:0/peer"), speaks)
    yield* Effect.forkScoped(Effect.provideContext(listener.run(relay), speaks))
    return address.port
  })
