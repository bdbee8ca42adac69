/**
 * What has failed leaves nothing in the scope that it was run in. A scope keeps a finalizer for each child that was
 * forked from it and for each resource; `finalizers` counts them in its own state. A dialer that lives for months dials
 * in one scope for months.
 */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Address from "../src/Address.ts"
import { fromSocket, toSocket } from "../src/bridge/MultiserverSocket.ts"
import { inOwnScope } from "../src/inOwnScope.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Onion from "../src/onion/Onion.ts"
import { multiserver, served, turn } from "./support/servers.ts"

/** How many finalizers a scope holds. */
const finalizers = ({ state }: Scope.Scope): number => {
  if (state._tag !== "Open") return 0
  return state.finalizer === undefined ? (state.finalizers?.size ?? 0) : 1
}

/** Runs it in a scope of its own, again and again: it fails each time, and nothing of it is left there. */
const leavesNothing = <A, E, R>(effect: Effect.Effect<A, E, R>, times = 1000) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    for (let i = 0; i < times; i++) {
      const exit = yield* Effect.exit(Scope.provide(effect, scope))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(finalizers(scope), 0, `after ${i + 1}`)
    }
    yield* Scope.close(scope, Exit.void)
  })

const key = `${"A".repeat(43)}=`
const dead = "memory:nobody"
const deadToo = `memory:nobody~shs:${key}`

describe("nothing is left in the caller's scope", () => {
  it.live("of a thousand dials that fail, whatever the plan", () =>
    Effect.gen(function* () {
      yield* leavesNothing(Multiserver.dial(dead))
      yield* leavesNothing(Multiserver.dial([dead, deadToo]))
      yield* leavesNothing(Multiserver.dial([dead, deadToo], { plan: "race" }))
      yield* leavesNothing(Multiserver.dial([dead, deadToo], { plan: "firstUnderstood" }))
      yield* leavesNothing(Multiserver.dial([dead, deadToo], { plan: (understood) => understood }))
      yield* leavesNothing(Multiserver.dial(["ws://h", "ws://h"], { plan: "race" }))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("of dials over sockets that fail: refused, or in their handshake", () =>
    Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", () => Effect.never)
      const stranger = String(address).replace(/~shs:.*/, `~shs:${key}`)
      const nobody = `net:127.0.0.1:1~shs:${key}`
      yield* leavesNothing(Multiserver.dial([nobody, stranger]), 20)
      yield* leavesNothing(Multiserver.dial([nobody, stranger], { plan: "race" }), 20)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("of dials through a proxy that isn't there", () =>
    Effect.gen(function* () {
      const name = `onion:${"a".repeat(56)}.onion:1`
      yield* leavesNothing(Multiserver.dial([name, name]), 100)
    }).pipe(
      Effect.provide(
        Multiserver.layer(["onion"]).pipe(Layer.provide(Onion.layer({ proxies: [{ host: "127.0.0.1", port: 1 }] })))
      )
    )
  )

  for (const plan of ["inOrder", "race"] as const) {
    it.live(`of dials that are interrupted in their handshakes: ${plan}`, () =>
      Effect.gen(function* () {
        const server = yield* Effect.acquireRelease(
          Effect.callback<net.Server>((resume) => {
            const silent = net.createServer((socket) => void socket.on("error", () => {}).resume())
            silent.listen(0, "127.0.0.1", () => resume(Effect.succeed(silent)))
          }),
          (silent) => Effect.sync(() => silent.close())
        )
        const { port } = server.address() as net.AddressInfo
        const connected = Effect.callback<void>((resume) => {
          server.once("connection", () => resume(Effect.void))
        })
        const scope = yield* Scope.make()
        for (let i = 0; i < 50; i++) {
          const target = `net:127.0.0.1:${port}~shs:${key}`
          const dial = yield* Effect.forkChild(Scope.provide(Multiserver.dial([target, target], { plan }), scope))
          yield* connected
          yield* turn
          yield* Fiber.interrupt(dial)
          assert.strictEqual(finalizers(scope), 0)
        }
      }).pipe(Effect.provide(multiserver()))
    )
  }

  it.live("of the losers of a race: the winner has one, and none once it has closed", () =>
    Effect.gen(function* () {
      const [first] = yield* served("memory:a", () => Effect.never)
      const [second] = yield* served("memory:b", () => Effect.never)
      const scope = yield* Scope.make()
      for (let i = 1; i <= 100; i++) {
        const both = [dead, String(first), String(second)]
        yield* Scope.provide(Multiserver.dial(both, { plan: "race" }), scope)
        assert.strictEqual(finalizers(scope), i)
      }
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("of a thousand listens that can't bind", () =>
    Effect.gen(function* () {
      yield* served(["memory:taken"], () => Effect.never)
      yield* leavesNothing(Multiserver.listen("memory:taken"))
      yield* leavesNothing(Multiserver.listen(["memory:free", "memory:taken"]))
      yield* leavesNothing(Multiserver.listen("ws://h"))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("of a thousand sockets whose connection doesn't open", () =>
    Effect.gen(function* () {
      const socket = yield* toSocket(Multiserver.dial(dead))
      yield* leavesNothing(socket.reader)
      const two = yield* toSocket(Multiserver.dial([dead, deadToo]))
      yield* leavesNothing(two.reader)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("of a thousand connections whose socket doesn't open, or has no writer", () =>
    Effect.gen(function* () {
      const [remote] = yield* Effect.fromResult(Address.parse("net:h:1"))
      const error = new Socket.SocketError({ reason: new Socket.SocketOpenError({ kind: "Unknown", cause: "test" }) })
      const reader = Effect.succeed({ pull: Effect.never, upgrade: Socket.SocketUpgradeError.unsupported })
      const opens = Effect.acquireRelease(reader, () => Effect.void)
      yield* leavesNothing(fromSocket(Socket.make({ reader: Effect.fail(error), writer: Effect.never }), { remote }))
      yield* leavesNothing(fromSocket(Socket.make({ reader: opens, writer: Effect.die(error) }), { remote }))
    })
  )

  it.live("of what is interrupted between any two steps", () =>
    Effect.gen(function* () {
      for (let steps = 3; steps < 60; steps++) {
        const scope = yield* Scope.make()
        // The fiber runs so many steps, and is interrupted there.
        const fiber = yield* Effect.forkChild(
          Effect.never.pipe(
            inOwnScope,
            Scope.provide(scope),
            Effect.provideService(Scheduler.MaxOpsBeforeYield, steps)
          ),
          { startImmediately: true }
        )
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(finalizers(scope), 0, `after ${steps} steps`)
      }
    })
  )
})
