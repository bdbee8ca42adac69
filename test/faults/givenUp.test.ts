/**
 * A dial that is given up leaves nothing, wherever that comes between two operations of its fiber. Were a transport to open a stream that
 * is no link's yet when the interruption comes, nobody would close it, and its other end would wait for ever. Effect lets others run after
 * so many operations: a sweep over how many finds every such place.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Onion from "../../src/onion/Onion.ts"
import * as Unix from "../../src/unix/Unix.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { protocols, turn } from "../support/servers.ts"

/** At 2, Effect itself makes no progress. */
const sweep = Array.from({ length: 58 }, (_, i) => i + 3)
/** How many turns of the event loop after the accept the dial is given up. */
const moments = [0, 1, 2, 3] as const
/** Who hears nothing waits for ever, which one bound for all finds. */
const bound = "40 seconds"

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))
const files = fs.mkdtempSync(path.join(os.tmpdir(), "ms-given-up-"))
afterAll(() => fs.rmSync(files, { recursive: true, force: true }))

/** A SOCKS5 proxy that takes every name for this device. */
const proxy = Effect.map(
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((client) => {
        client.on("error", () => {})
        client.once("data", () => {
          client.write(Uint8Array.of(5, 0))
          client.once("data", (request) => {
            const target = net.connect(request.readUInt16BE(5 + (request[4] ?? 0)), "127.0.0.1", () => {
              client.write(Uint8Array.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 0))
              client.pipe(target).pipe(client)
            })
            target.on("error", () => client.destroy()).on("close", () => client.destroy())
            client.on("close", () => target.destroy())
          })
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => (server.address() as net.AddressInfo).port
)

const layer = Layer.unwrap(
  Effect.map(proxy, (port) =>
    Multiserver.layer(["memory", "net", "unix", "ws", "wss", "onion"]).pipe(
      Layer.provide([
        protocols(),
        Unix.layer(),
        WebSocket.layer(),
        WebSocket.layerSecure({
          credentials: { key: fixture("server.key"), cert: fixture("server.crt") },
          ca: fixture("ca.crt")
        }),
        Onion.layer({ proxies: [{ host: "127.0.0.1", port }] })
      ])
    )
  )
)

/** Where each listens, and what is dialed. */
const transports: Readonly<
  Record<string, { readonly target: (name: string) => string; readonly dialed?: (address: string) => string }>
> = {
  memory: { target: (name) => `memory:${name}` },
  net: { target: () => "net:127.0.0.1:0" },
  unix: { target: (name) => `unix:${files}/${name}` },
  ws: { target: () => "ws://127.0.0.1:0" },
  wss: { target: () => "wss://127.0.0.1:0" },
  onion: {
    target: () => "net:127.0.0.1:0",
    dialed: (address) => `onion:${"a".repeat(56)}.onion:${address.split(":")[2]}`
  }
}

const same = (address: string): string => address

describe.each(Object.entries(transports))("a dial over %s", (transport, { dialed = same, target }) => {
  it.live(
    "that is given up when it has been accepted is heard of at the other end, however far it had got",
    () =>
      Effect.gen(function* () {
        const silent = new Set<string>()
        const once = (operations: number, moment: number) =>
          Effect.gen(function* () {
            const name = `${operations} operations, ${moment} turns`
            silent.add(name)
            const accepted = yield* Deferred.make<void>()
            const ended = yield* Deferred.make<void>()
            const listener = yield* Multiserver.listen(target(`${transport}-${operations}-${moment}`))
            yield* Effect.forkScoped(
              listener.run((connection) =>
                Deferred.succeed(accepted, undefined).pipe(
                  Effect.andThen(Effect.exit(connection.pull)),
                  Effect.andThen(Deferred.succeed(ended, undefined))
                )
              )
            )
            const dial = Multiserver.dial(dialed(String(listener.addresses()[0]))).pipe(
              Effect.andThen(Effect.never),
              Effect.provideService(Scheduler.MaxOpsBeforeYield, operations)
            )
            const givenUp = Effect.andThen(Deferred.await(accepted), Effect.replicateEffect(turn, moment))
            yield* Effect.scoped(Effect.raceFirst(dial, givenUp))
            yield* Deferred.await(ended)
            silent.delete(name)
          }).pipe(Effect.scoped)
        const all = sweep.flatMap((operations) => moments.map((moment) => once(operations, moment)))
        yield* Effect.timeoutOption(Effect.all(all, { concurrency: 20, discard: true }), bound)
        assert.deepStrictEqual([...silent], [])
      }).pipe(Effect.provide(layer)),
    60_000
  )
})
