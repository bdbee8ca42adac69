/**
 * What has come has an owner from the moment in which its transport hands it over: however soon its fiber lets others
 * run, and whatever ends it meanwhile, it is closed, with one event.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as Address from "../../src/Address.ts"
import type * as Events from "../../src/Events.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Transport from "../../src/Transport.ts"
import * as Unix from "../../src/unix/Unix.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { protocols, recorder, turn } from "../support/servers.ts"

const bound = 240_000

/** At 2, Effect itself makes no progress. The last is Effect's own. */
const sweep = [...Array.from({ length: 40 }, (_, i) => i + 3), 2048]

const until = (condition: () => boolean) => Effect.repeat(turn, { until: () => condition() })

const files = fs.mkdtempSync(path.join(os.tmpdir(), "ms-owners-"))
afterAll(() => fs.rmSync(files, { recursive: true, force: true }))

/** `odd`: the test hands over. What it hands over is open until it is let go of. */
const oddTransport = () => {
  const open = new Set<number>()
  const taken: Array<number> = []
  let onAccepted: Transport.OnAccepted = () => false
  const layer = Transport.layer("odd", {
    section: Address.section("odd", Schema.Literal("")),
    reach: () => "device",
    dial: () => Effect.never,
    listen: (_, hears) => {
      onAccepted = hears
      return Effect.succeed({ section: new Address.Opaque({ name: "odd", data: "" }) })
    }
  })
  const come = (id: number, then: Effect.Effect<never> = Effect.never) => {
    open.add(id)
    const own = Effect.acquireRelease(
      Effect.sync(() => void taken.push(id)),
      () => Effect.sync(() => open.delete(id))
    )
    if (!onAccepted(Effect.andThen(own, then), undefined)) open.delete(id)
  }
  return { come, layer, open, taken }
}

const failures = (events: ReadonlyArray<Events.Event>) =>
  events.map((event) => (event._tag === "HandshakeFailed" ? event.tag : event._tag))

describe("a newcomer that is displaced before its fiber has done much", () => {
  it.live(
    "is taken over once and let go of, with an event, however soon its fiber has to let others run",
    () =>
      Effect.forEach(sweep, (operations) => {
        const events: Array<Events.Event> = []
        const { come, layer, open, taken } = oddTransport()
        return Effect.gen(function* () {
          yield* Effect.provideService(Multiserver.listen("odd"), Scheduler.MaxOpsBeforeYield, operations)
          for (let id = 0; id < 3; id++) come(id)
          yield* until(() => events.length === 2 && open.size === 1)
          assert.deepStrictEqual([...open], [2], `of ${operations} operations`)
          assert.deepStrictEqual(failures(events), ["Displaced", "Displaced"], `of ${operations} operations`)
          yield* until(() => taken.length === 3)
          assert.deepStrictEqual(taken.toSorted(), [0, 1, 2], `of ${operations} operations`)
        }).pipe(
          Effect.scoped,
          Effect.provide(
            Multiserver.layer(["odd"]).pipe(
              Layer.provide([layer, recorder(events), Limits.layer({ pendingHandshakes: 1 })])
            )
          )
        )
      }),
    bound
  )

  const upgrade =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
  const kinds = {
    net: { target: () => "net:127.0.0.1:0~shs", says: "" },
    unix: { target: (operations: number) => `unix:${files}/${operations}~shs`, says: "" },
    ws: { target: () => "ws://127.0.0.1:0~shs", says: upgrade }
  }
  for (const [name, { says, target }] of Object.entries(kinds)) {
    it.live(
      `is closed, with an event: ${name}`,
      () =>
        Effect.forEach(
          sweep,
          (operations) => {
            const events: Array<Events.Event> = []
            return Effect.gen(function* () {
              const listener = yield* Effect.provideService(
                Multiserver.listen(target(operations)),
                Scheduler.MaxOpsBeforeYield,
                operations
              )
              const [address] = listener.addresses()
              const section = address?.transport
              const to = section && "port" in section ? { host: "127.0.0.1", port: section.port } : undefined
              const sockets = Array.from({ length: 3 }, () =>
                net.connect(to ?? { path: `${files}/${operations}` }).on("error", () => {})
              )
              yield* Effect.addFinalizer(() =>
                Effect.sync(() => {
                  for (const socket of sockets) socket.destroy()
                })
              )
              for (const socket of sockets) {
                socket.resume()
                // One has come and asks when the next one comes.
                if (says !== "") socket.once("connect", () => socket.write(says))
              }
              const closed = () => sockets.filter((socket) => socket.destroyed || socket.readableEnded).length
              yield* until(() => closed() === 2 && events.length === 2)
              assert.deepStrictEqual(failures(events), ["Displaced", "Displaced"], `of ${operations} operations`)
            }).pipe(
              Effect.scoped,
              Effect.provide(
                Multiserver.layer(["net~shs", "unix~shs", "ws~shs"]).pipe(
                  Layer.provide([protocols(), Unix.layer(), WebSocket.layer()]),
                  Layer.provide([recorder(events), Limits.layer({ pendingHandshakes: 1 })])
                )
              )
            )
          },
          { concurrency: "unbounded", discard: true }
        ),
      bound
    )
  }
})

describe("a newcomer whose fiber dies before it is taken over", () => {
  it.live("is taken over and let go of: a tracer that throws leaves nothing open", () => {
    const events: Array<Events.Event> = []
    const { come, layer, open, taken } = oddTransport()
    const tracer = Tracer.make({
      span: (options) => {
        if (options.name === "Multiserver.serve") throw new Error("a tracer's own fault")
        return new Tracer.NativeSpan(options)
      }
    })
    return Effect.gen(function* () {
      yield* Effect.provideService(Multiserver.listen("odd"), Tracer.Tracer, tracer)
      for (let id = 0; id < 3; id++) come(id)
      yield* until(() => events.length === 3 && open.size === 0)
      assert.deepStrictEqual([...open], [])
      assert.deepStrictEqual(taken, [0, 1, 2])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Multiserver.layer(["odd"]).pipe(Layer.provide([layer, recorder(events), Layer.succeed(Tracer.Tracer, tracer)]))
      ),
      Effect.provide(Logger.layer([]))
    )
  })
})

describe("a newcomer whose protocol interrupts itself", () => {
  it.live("has an event that blames the protocol's code, and not the listener, which goes on", () => {
    const events: Array<Events.Event> = []
    const { come, layer, open } = oddTransport()
    return Effect.gen(function* () {
      yield* Multiserver.listen("odd")
      come(0, Effect.interrupt)
      come(1)
      yield* until(() => events.length === 1 && open.size === 1)
      assert.deepStrictEqual(failures(events), ["Defect"])
      assert.deepStrictEqual([...open], [1])
    }).pipe(Effect.scoped, Effect.provide(Multiserver.layer(["odd"]).pipe(Layer.provide([layer, recorder(events)]))))
  })
})
