/**
 * A dial that is given up leaves nothing, wherever that comes between two operations of its fiber. Were a transport to
 * open a stream that is no link's yet when the interruption comes, nobody would close it, and its other end would wait
 * for ever. Effect lets others run after so many operations: a sweep over how many finds every such place.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../../src/Address.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Onion from "../../src/onion/Onion.ts"
import * as Transform from "../../src/Transform.ts"
import * as Unix from "../../src/unix/Unix.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { ports } from "../support/ports.ts"
import { protocols, turn, turns } from "../support/servers.ts"
import { work } from "./work.ts"

/** At 2, Effect itself makes no progress. */
const sweep = Array.from({ length: 58 }, (_, i) => i + 3)
/** How many turns of the event loop after the accept the dial is given up. */
const moments = [0, 1, 2, 3] as const
/** Who hears nothing waits for ever, which one bound for all finds. */
const bound = "4 minutes"

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
    Multiserver.layer(["memory", "port", "net", "unix", "ws", "wss", "onion"]).pipe(
      Layer.provide([
        protocols(),
        ports(...sweep.flatMap((operations) => moments.map((moment) => `port-${operations}-${moment}`))),
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
  port: { target: (name) => `port:${name}` },
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
            const dial = Multiserver.dial(dialed(String(listener.addresses()[0])), {
              timeouts: { connect: bound }
            }).pipe(Effect.andThen(Effect.never), Effect.provideService(Scheduler.MaxOpsBeforeYield, operations))
            const givenUp = Effect.andThen(Deferred.await(accepted), Effect.replicateEffect(turn, moment))
            yield* Effect.scoped(Effect.raceFirst(dial, givenUp))
            yield* Deferred.await(ended)
            silent.delete(name)
          }).pipe(Effect.scoped)
        const all = sweep.flatMap((operations) => moments.map((moment) => once(operations, moment)))
        yield* Effect.timeoutOption(Effect.all(all, { concurrency: 20, discard: true }), bound)
        assert.deepStrictEqual([...silent], [])
      }).pipe(Effect.provide(layer)),
    300_000
  )
})

/**
 * A race between two addresses whose handshakes end together, the second after so much more work. How many connections
 * stay open.
 */
const openAfterRace = (operations: number, later: number) =>
  Effect.gen(function* () {
    const both = Latch.makeUnsafe(false)
    let handshaking = 0
    let open = 0
    const slow = Transform.layer("slow", {
      section: Address.section("slow", Schema.Literal("")),
      authenticates: false,
      outbound: (link) =>
        Effect.suspend(() => {
          const isSecond = ++handshaking === 2
          return both.await.pipe(Effect.andThen(work(isSecond ? later : 0)), Effect.as(link))
        }),
      inbound: Effect.succeed
    })
    return yield* Effect.gen(function* () {
      const listener = yield* Multiserver.listen(["memory:a~slow", "memory:b~slow"])
      yield* Effect.forkScoped(
        listener.run(({ pull }) =>
          Effect.suspend(() => {
            open++
            return Effect.ensuring(
              Effect.exit(Effect.forever(pull)),
              Effect.sync(() => open--)
            )
          })
        )
      )
      const dial = Multiserver.dial(listener.addresses(), { plan: "race" }).pipe(
        Effect.provideService(Scheduler.MaxOpsBeforeYield, operations)
      )
      // The scope of what was dialed stays open.
      const scope = yield* Effect.scope
      const fiber = yield* Effect.forkChild(Scope.provide(dial, scope))
      // The second begins, and has its turn at the handshake after a second.
      yield* Effect.andThen(turn, TestClock.adjust("250 millis")).pipe(
        Effect.repeat({ until: () => handshaking === 2 })
      )
      both.openUnsafe()
      yield* Fiber.join(fiber)
      yield* turns
      return open
    }).pipe(
      Effect.provide(
        Multiserver.layer(["memory~slow"]).pipe(
          Layer.provide([Memory.layer(), slow]),
          Layer.provide(Limits.layer({ grace: Duration.zero }))
        )
      ),
      Effect.scoped
    )
  })

describe("a race that two addresses win at the same moment", () => {
  it.effect(
    "leaves one connection, however soon a fiber has to let others run",
    () =>
      Effect.gen(function* () {
        const wrong: Array<string> = []
        for (const operations of Array.from({ length: 38 }, (_, i) => i + 3)) {
          for (let later = 0; later < 8; later++) {
            const open = yield* openAfterRace(operations, later)
            if (open !== 1) wrong.push(`${operations} operations, ${later} later: ${open} open`)
          }
        }
        assert.deepStrictEqual(wrong, [])
      }),
    300_000
  )
})
