/** One port that serves the files of a page and is a peer: docs/serving-pages.md. */
import * as http from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { HttpRouter, HttpStaticServer } from "effect/http"
import { Connection, Multiserver, NodeMultiserver } from "effect-multiserver/node"

const echo = (peer: Connection.Connection) => Stream.run(Connection.stream(peer), Connection.sink(peer))

// #region files
/** Answers with one of these files, and with nothing else of this machine. */
export const files =
  (contents: ReadonlyMap<string, { readonly type: string; readonly text: string }>): http.RequestListener =>
  ({ url = "/" }, response) => {
    const file = contents.get(url.replace(/\?.*/s, ""))
    if (file === undefined) return void response.writeHead(404).end()
    response.writeHead(200, {
      "content-type": file.type,
      "content-security-policy": "default-src 'self'; connect-src ws:"
    })
    response.end(file.text)
  }
// #endregion

// #region handler
export const withHandler = (handler: http.RequestListener, port: number) =>
  Multiserver.layerServer(`ws://127.0.0.1:${port}/peer~shs`, echo).pipe(
    Layer.provide(NodeMultiserver.layer({ webSocket: { handler } }))
  )
// #endregion

// #region server
export const withServer = (server: http.Server) =>
  Multiserver.layerServer("ws://127.0.0.1:0/peer~shs", echo).pipe(
    Layer.provide(NodeMultiserver.layer({ webSocket: { server } }))
  )
// #endregion

// #region effect
export const withEffect = (folder: string, port: number) =>
  Layer.unwrap(
    Effect.sync(() => {
      const server = http.createServer()
      const Pages = HttpRouter.serve(HttpStaticServer.layer({ root: folder }), { disableLogger: true }).pipe(
        Layer.provide(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port }))
      )
      const Peer = Multiserver.layerServer("ws://127.0.0.1:0/peer~shs", echo).pipe(
        Layer.provide(NodeMultiserver.layer({ webSocket: { server, exclusive: true } }))
      )
      // The peer needs a server that listens already: so it is made after the pages, and released before them.
      return Layer.provide(Peer, Pages)
    })
  )
// #endregion

// #region handlerEffect
export const withHandlerEffect = (folder: string, port: number) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const app = yield* HttpRouter.toHttpEffect(HttpStaticServer.layer({ root: folder }))
      return withHandler(yield* NodeHttpServer.makeHandler(app, { scope: yield* Effect.scope }), port)
    })
  ).pipe(Layer.provide(NodeHttpServer.layerHttpServices))
// #endregion
