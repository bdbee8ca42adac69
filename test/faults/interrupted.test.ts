/**
 * A write that is interrupted when its bytes were offered, and not copied: they may change under the kernel now, so
 * that the connection can't go on. `Connection.write` says so.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import * as Address from "../../src/Address.ts"
import * as Connection from "../../src/Connection.ts"
import { type ConnectionError, type ConnectionReason, locallyClosed } from "../../src/ConnectionError.ts"
import * as Link from "../../src/Link.ts"
import type { Port, PortListener } from "../../src/Port.ts"

/** By default a fiber lets others run after 2,048 operations. At 2, Effect itself makes no progress. */
const sweep = Array.from({ length: 38 }, (_, i) => i + 3)

/** A port whose kernel takes its time: `drain` says that it has everything. */
class SlowPort implements Port {
  readonly halfClose = true
  readonly copies: boolean
  readonly ended = false
  readonly full = false
  failure: ConnectionReason | undefined
  pending = 0
  destroyed = 0
  /** Called when bytes have been offered, before the offer is answered. */
  offered: () => void = () => {}
  private listener: PortListener | undefined

  constructor(copies: boolean) {
    this.copies = copies
  }

  listen(listener: PortListener): void {
    this.listener = listener
  }
  take(): undefined {
    return undefined
  }
  offer(bytes: Uint8Array): boolean {
    this.pending += bytes.length
    this.offered()
    return this.copies
  }
  flush(): void {}
  end(): void {}
  close(): void {
    this.failure ??= locallyClosed
  }
  destroy(): void {
    this.destroyed++
    this.failure ??= locallyClosed
  }
  drain(): void {
    this.pending = 0
    this.listener?.drained()
  }
}

const who = {
  remote: new Address.Address({ transport: new Address.Memory({ name: "slow" }), transforms: [] }),
  peer: new Connection.Anonymous()
}

const opened = (port: SlowPort) => Effect.map(Link.make(port, who), (link) => Connection.onTop(link))

/** How a pull or write fails, as words. */
const wordOf = (effect: Effect.Effect<unknown, ConnectionError | Cause.Done>): Effect.Effect<string> =>
  Effect.match(effect, {
    onSuccess: () => "success",
    onFailure: (error) => {
      if (Cause.isDone(error)) return "the clean end"
      return error.reason._tag === "LocallyClosed" ? `LocallyClosed(${error.reason.why})` : error.reason._tag
    }
  })

const chunk = (): Uint8Array => new Uint8Array(10)

const writes: Readonly<Record<string, (connection: Connection.Connection) => Effect.Effect<void, ConnectionError>>> = {
  write: (connection) => connection.write(chunk()),
  writeAll: (connection) => connection.writeAll([chunk(), chunk()]),
  "write of a large chunk": (connection) => connection.write(new Uint8Array(200_000))
}

/** When the fiber is interrupted: from within the offer, or as soon as somebody else runs. */
const moments: Readonly<Record<string, (interrupt: () => void) => void>> = {
  "while it is offered": (interrupt) => interrupt(),
  "right after the offer": (interrupt) => queueMicrotask(interrupt)
}

/** Runs a write, interrupts it at its first offer, and gives how it ended. */
const interrupted = (
  port: SlowPort,
  write: Effect.Effect<void, ConnectionError>,
  when: (interrupt: () => void) => void,
  operations: number
) =>
  Effect.gen(function* () {
    let fiber: Fiber.Fiber<void, ConnectionError> | undefined
    port.offered = () => {
      port.offered = () => {}
      when(() => fiber?.interruptUnsafe())
    }
    // It starts on a later turn: by then it is known.
    fiber = yield* Effect.forkChild(Effect.provideService(write, Scheduler.MaxOpsBeforeYield, operations))
    return yield* Fiber.await(fiber)
  })

describe.each(Object.entries(moments))("a write that is interrupted %s", (_, when) => {
  for (const [name, write] of Object.entries(writes)) {
    it.live(`fails the connection when its bytes were not copied: ${name}`, () =>
      Effect.gen(function* () {
        for (const operations of sweep) {
          yield* Effect.gen(function* () {
            const port = new SlowPort(false)
            const connection = yield* opened(port)
            const parked = yield* Effect.forkChild(wordOf(connection.pull), { startImmediately: true })
            const exit = yield* interrupted(port, write(connection), when, operations)
            // Were the connection to stand, the next write would be through soon.
            port.offered = () => queueMicrotask(() => port.drain())
            assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause), `${operations}: ${exit}`)
            assert.strictEqual(yield* wordOf(connection.write(chunk())), "LocallyClosed(interrupted)", `${operations}`)
            assert.strictEqual(yield* wordOf(connection.pull), "LocallyClosed(interrupted)", `${operations}`)
            assert.strictEqual(yield* Fiber.join(parked), "LocallyClosed(interrupted)", `${operations}`)
            assert.isAbove(port.destroyed, 0, `${operations}`)
          }).pipe(Effect.scoped)
        }
      })
    )
  }

  it.live("leaves the connection as it is when all of its bytes were copied, and nothing waits", () =>
    Effect.gen(function* () {
      for (const operations of sweep) {
        yield* Effect.gen(function* () {
          const port = new SlowPort(true)
          const connection = yield* opened(port)
          yield* interrupted(port, connection.write(chunk()), when, operations)
          assert.strictEqual(yield* wordOf(connection.write(chunk())), "success", `${operations}`)
          assert.strictEqual(port.destroyed, 0, `${operations}`)
          port.drain()
        }).pipe(Effect.scoped)
      }
    })
  )

  it.live("leaves the connection as it is when it waits behind others, and nothing was offered", () =>
    Effect.gen(function* () {
      const port = new SlowPort(false)
      const connection = yield* opened(port)
      const first = yield* Effect.forkChild(connection.write(chunk()), { startImmediately: true })
      const second = yield* Effect.forkChild(connection.write(chunk()), { startImmediately: true })
      when(() => second.interruptUnsafe())
      yield* Fiber.await(second)
      assert.strictEqual(port.pending, chunk().length)
      port.drain()
      yield* Fiber.join(first)
      assert.strictEqual(port.destroyed, 0)
    }).pipe(Effect.scoped)
  )
})
