/** Effect's client protocol over a socket, changed so that one call does no harm to others. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcSerialization from "effect/rpc/RpcSerialization"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"

type Protocol = RpcClient.Protocol["Service"]

/** Effect makes a defect of a write that fails. Here it is none: the reader fails too, and with it all calls. */
const withoutDefects = (socket: Socket.Socket): Socket.Socket =>
  Socket.make({
    reader: socket.reader,
    writer: Effect.map(socket.writer, ({ write, writeAll }) => ({
      write: (chunk) => Effect.ignore(write(chunk)),
      writeAll: (chunks) => Effect.ignore(writeAll(chunks))
    }))
  })

/**
 * `RpcClient` offers a chunk of a stream to the stream's reader, and reads nothing more until that reader has taken it:
 * no other answer and no pong, so that a slow reader would end the connection. Here one chunk of each stream waits in
 * a fiber of its own. The server sends no second one before the first is acknowledged; one that does so has to wait.
 */
const withoutStalls = (protocol: Protocol): Protocol => ({
  ...protocol,
  run: (id, deliver) =>
    Effect.suspend(() => {
      const waiting = new Map<string | number, Fiber.Fiber<void>>()
      return protocol.run(id, (message) => {
        if (message._tag !== "Chunk") return deliver(message)
        const { requestId } = message
        const earlier = waiting.get(requestId)
        if (earlier !== undefined) return Effect.andThen(Fiber.await(earlier), deliver(message))
        return Effect.forkChild(deliver(message), { startImmediately: true }).pipe(
          Effect.map((fiber) => {
            if (fiber.pollUnsafe() !== undefined) return
            waiting.set(requestId, fiber)
            fiber.addObserver(() => void waiting.delete(requestId))
          })
        )
      })
    })
})

export const make = (
  socket: Socket.Socket,
  options: Parameters<typeof RpcClient.makeProtocolSocket>[0]
): Effect.Effect<Protocol, never, RpcSerialization.RpcSerialization | Scope.Scope> =>
  RpcClient.makeProtocolSocket(options).pipe(
    Effect.provideService(Socket.Socket, withoutDefects(socket)),
    Effect.map(withoutStalls)
  )
