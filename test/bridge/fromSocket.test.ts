import * as net from "node:net"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Address from "../../src/Address.ts"
import { fromSocket, toSocket } from "../../src/bridge/MultiserverSocket.ts"
import * as Connection from "../../src/Connection.ts"
import { Refused } from "../../src/DialError.ts"
import type { Link } from "../../src/Link.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Transport from "../../src/Transport.ts"
import { echo, multiserver, pair, pattern, readAll, sameBytes, served, turn } from "../support/servers.ts"
import { contract, reasonOf } from "./contract.ts"

/** There and back: a connection over the socket over a connection. */
const open = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const socket = yield* toSocket(Effect.succeed(connection))
    const own = Connection.onTop(yield* fromSocket(socket, { remote: connection.remote, peer: connection.peer }))
    return {
      write: own.write,
      end: own.end,
      read: own.pull.pipe(
        Effect.map((chunks) => new Uint8Array(Buffer.concat(chunks))),
        Effect.catchTag("Done", () => Effect.undefined)
      ),
      abort: Connection.destroy(own)
    }
  })

// A socket's close has no room for the reason; what a Connection holds is tested with Connection.
contract("a Connection from a Socket", open, ["draining", "held bytes"])

describe("a Connection from a Socket", () => {
  it.live("is Truncated by a close that is not the clean one", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m~shs")
      const socket = yield* toSocket(Effect.succeed(near))
      const connection = Connection.onTop(yield* fromSocket(socket, { remote: near.remote }))
      const writer = yield* socket.writer
      yield* writer.write(new Socket.CloseEvent(1011))
      assert.strictEqual(reasonOf(yield* Effect.flip(readAll(connection))), "Truncated")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("lets go of the socket at once when it is destroyed", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m~shs")
      const socket = yield* toSocket(Effect.succeed(near))
      let released = false
      const release = Effect.addFinalizer(() =>
        Effect.sync(() => {
          released = true
        })
      )
      const watched = Socket.make({ ...socket, reader: Effect.tap(socket.reader, () => release) })
      const connection = Connection.onTop(yield* fromSocket(watched, { remote: near.remote }))
      yield* Connection.destroy(connection)
      yield* turn
      assert.isTrue(released)
    }).pipe(Effect.provide(multiserver()))
  )
})

const remote = new Address.Address({
  transport: new Address.Opaque({ name: "foreign", data: "" }),
  transforms: []
})

/** A plain TCP server, and a connection with it by Effect's own socket. */
const withServer = (onSocket: (socket: net.Socket) => void) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => net.createServer({ allowHalfOpen: true }, onSocket)),
      (server) => Effect.sync(() => server.close())
    )
    const port = yield* Effect.callback<number>((resume) => {
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    })
    const socket = yield* NodeSocket.makeNet({ host: "127.0.0.1", port, allowHalfOpen: true })
    return Connection.onTop(yield* fromSocket(socket, { remote, halfClose: true }))
  })

describe("a Connection from Effect's TCP socket", () => {
  it.live("half closes, and reads on to the peer's end", () =>
    Effect.gen(function* () {
      const connection = yield* withServer((socket) => {
        const chunks: Array<Buffer> = []
        socket.on("data", (chunk) => chunks.push(chunk))
        socket.on("end", () => socket.end(Buffer.concat(chunks)))
      })
      assert.isTrue(connection.halfClose)
      yield* Effect.forkChild(Effect.andThen(connection.write(pattern(1 << 20)), connection.end))
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(1 << 20)))
    })
  )

  it.live("fails with Reset when the peer resets", () =>
    Effect.gen(function* () {
      const connection = yield* withServer((socket) => socket.on("data", () => socket.resetAndDestroy()))
      yield* connection.write(pattern(1))
      const error = yield* Effect.flip(readAll(connection))
      assert.strictEqual(reasonOf(error), "Reset")
      assert.include(error.message, "ECONNRESET")
    })
  )

  it.live("is gone with its scope", () =>
    Effect.gen(function* () {
      let closed: (() => void) | undefined
      const gone = new Promise<void>((resolve) => {
        closed = resolve
      })
      yield* Effect.scoped(
        withServer((socket) => {
          socket.on("end", () => socket.end())
          socket.on("close", () => closed?.())
          socket.resume()
        })
      )
      yield* Effect.promise(() => gone)
    })
  )
})

describe("a transport made of foreign sockets", () => {
  it.live("carries shs as any other", () =>
    Effect.gen(function* () {
      const bytes = pattern(1 << 20)
      const [address] = yield* served("net:127.0.0.1:0~shs", echo)
      const { host, port } = (address as Address.Address).transport as Address.Net
      const dial = (): Effect.Effect<Link, Refused, Scope.Scope> =>
        NodeSocket.makeNet({ host, port, allowHalfOpen: true }).pipe(
          Effect.flatMap((socket) => fromSocket(socket, { remote, halfClose: true })),
          Effect.mapError(() => new Refused())
        )
      const foreign = Transport.layer("foreign", {
        section: Address.section("foreign", Schema.String),
        reach: () => "device",
        dial
      })
      const [, shs] = String(address).split("~")
      yield* Effect.gen(function* () {
        const connection = yield* Multiserver.dial(`foreign:here~${shs}`)
        yield* Effect.forkChild(Effect.andThen(connection.write(bytes), connection.end))
        assert.isTrue(sameBytes(yield* readAll(connection), bytes))
      }).pipe(Effect.provide(Multiserver.layer(["foreign~shs"])), Effect.provide(foreign))
    }).pipe(Effect.provide(multiserver()))
  )
})
