/**
 * Backpressure over net and unix, by the memory of a process: 300 MiB are offered, and nobody reads. ws has its own.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { bound, growth, offered, ours } from "./support/hold.ts"

/** Where a plain socket of Node's connects to or listens, for an address. */
const placeOf = (address: string): net.NetConnectOpts => {
  const [, host, port] = /^net:(.*):(\d+)$/.exec(address) ?? []
  return port === undefined ? { path: address.slice("unix:".length) } : { host: host ?? "", port: Number(port) }
}

/** A plain server of Node's, and the sockets that it accepts, paused. */
const plainServer = (place: net.ListenOptions) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: net.Server; readonly sockets: Array<net.Socket> }>((resume) => {
      const sockets: Array<net.Socket> = []
      const server = net.createServer({ pauseOnConnect: true }, (socket) => {
        socket.on("error", () => {})
        sockets.push(socket)
      })
      server.listen(place, () => resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )

const plainClient = (address: string) =>
  Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const socket = net.connect(placeOf(address), () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Offers everything, as fast as the kernel takes it. How much that was by the time that it takes no more. */
const flood = (socket: net.Socket): Effect.Effect<number> =>
  Effect.gen(function* () {
    const chunk = Buffer.alloc(64 * 1024)
    let taken = 0
    const next = (): boolean =>
      socket.write(chunk, (error) => {
        if (error !== null && error !== undefined) return
        taken += chunk.length
        if (taken < offered) next()
      })
    next()
    for (let last = -1; last !== taken; ) {
      last = taken
      yield* Effect.sleep("300 millis")
    }
    return taken
  })

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "ms-memory-"))
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

describe.each([
  ["net", "net:127.0.0.1:0"],
  ["unix", `unix:${directory}/ours`]
] as const)("over %s, memory stays", (kind, target) => {
  const place: net.ListenOptions = kind === "net" ? { host: "127.0.0.1", port: 0 } : { path: `${directory}/plain` }
  const addressOf = (server: net.Server): string => {
    const address = server.address()
    return typeof address === "string" ? `unix:${address}` : `net:127.0.0.1:${address?.port}`
  }

  it.live("of a writer whose peer never reads, whoever dialed", () =>
    Effect.gen(function* () {
      const { server } = yield* plainServer(place)
      const dialed = yield* ours("write", "dial", addressOf(server))
      const first = yield* growth(dialed, Effect.sleep("1 second"))
      const listening = yield* ours("write", "listen", target)
      const { address = "" } = yield* listening.next
      const second = yield* growth(
        listening,
        Effect.andThen(
          Effect.map(plainClient(address), (socket) => socket.pause()),
          Effect.sleep("1 second")
        ).pipe(Effect.provideService(Scope.Scope, yield* Effect.scope))
      )
      for (const { grown, written } of [first, second]) {
        assert.isBelow(written, offered)
        assert.isBelow(grown, bound)
      }
    })
  )

  it.live("of a reader that never pulls, whoever dialed", () =>
    Effect.gen(function* () {
      const listening = yield* ours("hold", "listen", target)
      const { address = "" } = yield* listening.next
      const client = yield* plainClient(address)
      let taken = 0
      const count = (bytes: number) =>
        Effect.sync(() => {
          taken = bytes
        })
      const first = yield* growth(listening, Effect.tap(flood(client), count))
      assert.isBelow(taken, offered)
      assert.isBelow(first.grown, bound)

      const { server, sockets } = yield* plainServer(place)
      const dialed = yield* ours("hold", "dial", addressOf(server))
      while (sockets.length === 0) yield* Effect.sleep("20 millis")
      const second = yield* growth(dialed, Effect.tap(flood(sockets[0] as net.Socket), count))
      assert.isBelow(taken, offered)
      assert.isBelow(second.grown, bound)
    })
  )
})
