/** Effect's own sockets, plain TCP: what Effect costs without a cipher. */

import { effect, load } from "../ours.mjs"

const platform = (name) => load(`@effect/platform-node/${name}`)
const [Effect, Scope] = await Promise.all(["Effect", "Scope"].map(effect))
const [NodeSocket, NodeSocketServer] = await Promise.all(["NodeSocket", "NodeSocketServer"].map(platform))

const noDelay = { host: "127.0.0.1", noDelay: true }

/** Takes batches until the socket closes. */
const forever = (reader, use) => Effect.forever(Effect.flatMap(reader.pull, use), { disableYield: true })

const counting = (onBytes) => (batch) =>
  Effect.sync(() => {
    for (const { length } of batch) onBytes(length)
  })

export const make = async () => ({
  listen: (mode, onBytes) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const server = yield* Scope.provide(NodeSocketServer.make({ ...noDelay, port: 0 }), scope)
        const serve = Effect.fnUntraced(function* (socket) {
          const reader = yield* socket.reader
          const writer = yield* socket.writer
          yield* forever(reader, mode === "echo" ? writer.writeAll : counting(onBytes))
        }, Effect.scoped)
        yield* Effect.forkIn(
          server.run((socket) => Effect.ignore(serve(socket))),
          scope
        )
        return server.address.port
      })
    ),
  dial: (port) =>
    Effect.runPromise(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const socket = yield* NodeSocket.makeNet({ ...noDelay, port })
        const reader = yield* Scope.provide(socket.reader, scope)
        const writer = yield* Scope.provide(socket.writer, scope)
        return {
          pump: (chunk, count) => {
            let i = 0
            const body = () => writer.write(chunk)
            return Effect.runPromise(Effect.whileLoop({ while: () => i < count, body, step: () => i++ }))
          },
          read: (onBytes) => void Effect.runFork(Effect.ignore(forever(reader, counting(onBytes)))),
          send: (chunk) => void Effect.runFork(writer.write(chunk)),
          close: () => Effect.runPromise(Effect.flatMap(Effect.exit(Effect.void), (exit) => Scope.close(scope, exit)))
        }
      })
    )
})
