/** What a connection promises beside the public contract (compliance.test.ts), over each kind of port. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Address from "../src/Address.ts"
import type * as Codec from "../src/Codec.ts"
import * as Connection from "../src/Connection.ts"
import type { ConnectionError } from "../src/ConnectionError.ts"
import { Identity } from "../src/Identity.ts"
import * as Link from "../src/Link.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import { memoryPair } from "../src/memory/memoryPort.ts"
import type { Port } from "../src/Port.ts"
import * as Transform from "../src/Transform.ts"
import * as Transport from "../src/Transport.ts"
import {
  echo,
  multiserver,
  pair,
  pattern,
  protocols,
  readAll,
  sameBytes,
  served,
  turn,
  turns
} from "./support/servers.ts"

const stacks = ["net:127.0.0.1:0~shs", "memory:m~shs", "net:127.0.0.1:0", "memory:m"]

const reason = (error: ConnectionError): string =>
  error.reason._tag === "LocallyClosed" ? `LocallyClosed(${error.reason.why})` : error.reason._tag

/** The failure of a pull or write, as a word. */
const failure = (effect: Effect.Effect<unknown, ConnectionError | Cause.Done>): Effect.Effect<string> =>
  effect.pipe(
    Effect.match({
      onSuccess: () => "ok",
      onFailure: (error) => (Cause.isDone(error) ? "Done" : reason(error))
    })
  )

/** Writes until the port is full and a write has to wait; the number of bytes that were accepted. */
const fill = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    let accepted = 0
    const chunk = new Uint8Array(16 * 1024)
    for (;;) {
      const done = yield* Effect.timeoutOption(connection.write(chunk), "100 millis")
      if (Option.isNone(done)) return accepted
      accepted += chunk.length
    }
  })

/** As `fill`, but the write that waits goes on in a fiber. */
const stall = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    const chunk = new Uint8Array(64 * 1024)
    let written = 0
    const write = Effect.map(connection.write(chunk), () => void written++)
    const fiber = yield* Effect.forkScoped(Effect.forever(write, { disableYield: false }))
    // Until many turns of the event loop have brought it no further.
    for (let before = -1; before !== written; ) {
      before = written
      yield* Effect.repeat(Effect.sleep(0), { times: 50 })
    }
    return fiber
  })

const stalled: Connection.Who = {
  remote: new Address.Address({ transport: new Address.Memory({ name: "stalled" }), transforms: [] }),
  peer: new Connection.Anonymous()
}

/** A port whose kernel never takes a byte. */
const stalledPort = (): Port => {
  const [near] = memoryPair()
  return Object.create(near, { pending: { value: 1 } })
}

/** The same connection over effects. */
const pumped = (connection: Connection.Connection) =>
  Effect.map(Connection.fromEffects(connection), (link) => Connection.onTop(link))

const stalling = Transport.layer("stalled", {
  section: Address.section("stalled", Schema.String),
  reach: () => "device",
  dial: () => Effect.suspend(() => Link.make(stalledPort(), stalled))
})

/** Memory whose connections are copies, and so have no port of their own. */
const copied = Layer.effect(
  Transport.Transport("copied"),
  Effect.gen(function* () {
    const memory = yield* Transport.Transport("memory")
    const dials = (name: string) => Result.getOrThrow(memory.dial(new Address.Memory({ name })))
    const listens = (name: string) => Result.getOrThrow(memory.listen(new Address.Memory({ name })))
    const copy = <E>(link: Effect.Effect<Link.Link, E, Scope.Scope>) =>
      Effect.flatMap(link, (own) => Connection.toLink({ ...Connection.onTop(own) }))
    return Transport.make({
      section: Address.section("copied", Schema.String),
      reach: () => "device",
      dial: (name, options) => copy(dials(name)(options)),
      listen: (name, onAccepted, options) =>
        Effect.as(
          listens(name)((accepted, source) => onAccepted(copy(accepted), source), options),
          { section: new Address.Opaque({ name: "copied", data: `:${name}` }) }
        )
    })
  })
).pipe(Layer.provide(Memory.layer()))

describe.each(stacks)("a connection over %s", (target) => {
  it.live("makes the writer of a peer that doesn't read wait, with little in memory", () =>
    Effect.gen(function* () {
      const [near] = yield* pair(target)
      const accepted = yield* fill(near)
      // The kernel's buffers are the greater part of it, on net.
      assert.isBelow(accepted, target.startsWith("net") ? 16 << 20 : 1 << 20)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("fails a write after the peer has closed, and never hangs", () =>
    Effect.gen(function* () {
      const [address] = yield* served(target, () => Effect.fail("broken"))
      const connection = yield* Multiserver.dial(address as Address.Address)
      const write = Effect.forever(Effect.andThen(connection.write(pattern(1000)), Effect.sleep(1)))
      const outcome = yield* Effect.timeoutOption(failure(write), "1 minute")
      assert.strictEqual(Option.getOrUndefined(outcome), "Reset")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("fails a parked pull and whatever is asked after its scope closed", () =>
    Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      const scope = yield* Scope.make()
      const connection = yield* Multiserver.dial(address as Address.Address).pipe(Scope.provide(scope))
      const parked = yield* Effect.forkChild(failure(connection.pull), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* Fiber.join(parked), "LocallyClosed(closed)")
      assert.strictEqual(yield* failure(connection.pull), "LocallyClosed(closed)")
      assert.strictEqual(yield* failure(connection.write(pattern(1))), "LocallyClosed(closed)")
      assert.strictEqual(yield* failure(connection.flush), "LocallyClosed(closed)")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("lets a pull be interrupted without losing bytes", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(far.pull, "20 millis")))
      yield* near.write(pattern(100))
      yield* near.end
      assert.isTrue(sameBytes(yield* readAll(far), pattern(100)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("fails when a write is interrupted of which a part was accepted", () =>
    Effect.gen(function* () {
      const [near] = yield* pair(target)
      const outcome = yield* Effect.timeoutOption(near.write(new Uint8Array(64 << 20)), "200 millis")
      assert.isTrue(Option.isNone(outcome))
      assert.strictEqual(yield* failure(near.write(pattern(1))), "LocallyClosed(interrupted)")
      assert.strictEqual(yield* failure(near.pull), "LocallyClosed(interrupted)")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("stands when a write is interrupted of which nothing was accepted", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* stall(near)
      assert.isTrue(Option.isNone(yield* Effect.timeoutOption(near.write(pattern(10)), "20 millis")))
      const reader = yield* Effect.forkChild(Effect.forever(far.pull, { disableYield: true }))
      yield* turns
      assert.isUndefined(reader.pollUnsafe())
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("a connection", () => {
  it.live("knows the peer's key and its address on both sides, without a seed", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~shs")
      const { publicKey } = yield* Identity
      for (const side of [near, far]) {
        assert.strictEqual(side.peer._tag, "Authenticated")
        assert.match(String(side.remote), /^net:127\.0\.0\.1:\d+~shs:[A-Za-z0-9+/]{43}=$/)
        assert.deepStrictEqual(side.peer, new Connection.Authenticated({ publicKey }))
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("that was taken apart fails as consumed", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m")
      const parked = yield* Effect.forkChild(failure(near.pull), { startImmediately: true })
      yield* Connection.toLink(near)
      assert.strictEqual(yield* Fiber.join(parked), "LocallyClosed(consumed)")
      assert.strictEqual(yield* failure(near.write(pattern(1))), "LocallyClosed(consumed)")
    }).pipe(Effect.provide(multiserver()))
  )

  it.effect.each([true, false])(
    "over another one says goodbye before what its handshake opened is let go: %s",
    (opens) =>
      Effect.gen(function* () {
        const [near, far] = memoryPair()
        const log: Array<string> = []
        const codec: Codec.Codec = {
          sealer: {
            head: 0,
            tail: 0,
            maxBody: 100,
            endLength: 3,
            seal: () => {},
            sealEnd: (stage, offset) => {
              log.push("goodbye")
              stage.set([1, 2, 3], offset)
            }
          },
          opener: { open: () => "more" },
          wipe: () => void log.push("wiped")
        }
        const opened = Effect.acquireRelease(Effect.void, () => Effect.sync(() => log.push("released")))
        yield* Effect.gen(function* () {
          const lower = yield* Link.make(near, stalled)
          const section = new Address.Opaque({ name: "logged", data: "" })
          const link = yield* Link.lay(lower, () =>
            Transform.fromCodec(lower, () => Effect.as(opens ? opened : Effect.void, { section, codec }))
          )
          Connection.onTop(link)
        }).pipe(Effect.scoped)
        assert.deepStrictEqual(log, opens ? ["goodbye", "wiped", "released"] : ["goodbye", "wiped"])
        assert.deepStrictEqual(far.take(), [Uint8Array.of(1, 2, 3)])
        assert.isTrue(far.ended)
        assert.strictEqual(near.failure?._tag, "LocallyClosed")
      })
  )

  it.live("owns nothing of a Buffer once it is written", () =>
    Effect.gen(function* () {
      for (const target of [...stacks, "pumped"]) {
        const [near, far] = yield* pair(
          target === "pumped" ? "memory:pumped" : target.replace("memory:m", `memory:${target.length}`)
        )
        const writer = target === "pumped" ? yield* pumped(near) : near
        const buffer = Buffer.from(pattern(1000))
        yield* writer.write(buffer)
        buffer.fill(0)
        yield* Effect.forkChild(writer.end)
        assert.isTrue(sameBytes(yield* readAll(far), pattern(1000)), target)
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("dies with what its borrower throws, and nothing else does", () =>
    Effect.gen(function* () {
      for (const target of stacks) {
        const [near, far] = yield* pair(target.replace("memory:m", `memory:${target.length}`))
        yield* near.write(pattern(10))
        const thrown = Connection.forEachChunk(far, () => {
          throw new Error("mine")
        })
        const exit = yield* Effect.exit(thrown)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), target)
        // The chunk is gone, and what follows is not.
        yield* near.write(pattern(20, 7))
        yield* near.end
        assert.isTrue(sameBytes(yield* readAll(far), pattern(20, 7)), target)
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("whose borrower is interrupted while it waits keeps the rest for who reads next", () =>
    Effect.gen(function* () {
      for (const target of stacks) {
        const [near, far] = yield* pair(target.replace("memory:m", `memory:${target.length}`))
        let first = 0
        const borrowing = yield* Effect.forkChild(
          Connection.forEachChunk(far, (chunk) => {
            first = chunk.length
            return Effect.never
          }),
          { startImmediately: true }
        )
        yield* Effect.forkChild(Effect.andThen(near.write(pattern(1 << 18)), near.end))
        yield* Effect.repeat(Effect.sleep(0), { until: () => first > 0 })
        yield* Fiber.interrupt(borrowing)
        assert.isAbove(first, 0)
        assert.isTrue(sameBytes(yield* readAll(far), pattern(1 << 18).subarray(first)), target)
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("that was copied is a new one without a port, and gets one with a pump", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0")
      let written = 0
      const counting: Connection.Connection = {
        ...near,
        writeAll: (chunks) => {
          written += chunks.reduce((sum, chunk) => sum + chunk.length, 0)
          return near.writeAll(chunks)
        }
      }
      const link = yield* Connection.toLink(counting)
      const own = Connection.onTop(link)
      yield* Effect.forkScoped(echo(far))
      yield* Effect.forkChild(Effect.andThen(own.write(pattern(1 << 20)), own.end))
      assert.isTrue(sameBytes(yield* readAll(own), pattern(1 << 20)))
      assert.strictEqual(written, 1 << 20)
      assert.strictEqual(link.leaving.account().bytesWritten, 1 << 20)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("over effects dies with what they die of, and whoever waits hears of it", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m")
      const cause = new Error("broken")
      const own = yield* pumped({ ...near, pull: Effect.die(cause) })
      for (const use of [Effect.asVoid(own.pull), own.write(pattern(1))]) {
        const exit = yield* Effect.exit<void, unknown, never>(use)
        assert.deepStrictEqual(Exit.isFailure(exit) && Result.getOrThrow(Cause.findDefect(exit.cause)), cause)
      }
      assert.strictEqual((yield* own.closed).tag, "Defect")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("delivers the last bytes before the end, also where the port calls back while it is read", () =>
    Effect.gen(function* () {
      // shs over a pump: opening the goodbye ends the connection below, which calls back from within the read.
      const context = yield* Layer.build(
        Multiserver.layer(["copied~shs"]).pipe(Layer.provide(copied), Layer.provide(protocols()))
      )
      yield* Effect.gen(function* () {
        const [address] = yield* served("copied:x~shs", echo)
        for (const size of [1, 4096, 1 << 20]) {
          const connection = yield* Multiserver.dial(address as Address.Address)
          yield* Effect.forkChild(Effect.andThen(connection.write(pattern(size)), connection.end))
          assert.isTrue(sameBytes(yield* readAll(connection), pattern(size)), `${size} bytes`)
        }
      }).pipe(Effect.provide(context))
    })
  )

  it.live("over a pump makes the writer wait as any other", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m")
      assert.isBelow(yield* fill(yield* pumped(near)), 1 << 20)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("sends its FIN over shs only when both sides have said goodbye", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      yield* near.end
      assert.strictEqual(yield* failure(far.pull), "Done")
      // A FIN of near's would be an end of the stream below, after which a 3.8.2 peer drops what it owes.
      yield* far.write(pattern(10))
      yield* far.end
      assert.isTrue(sameBytes(yield* readAll(near), pattern(10)))
      yield* turn
      assert.strictEqual(yield* failure(near.pull), "Done")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("that stalls has a second to close, which all of one scope share", () =>
    Effect.gen(function* () {
      // Twenty against a real kernel, whose buffers they fill, and five hundred against a port that takes nothing.
      const [address] = yield* served("net:127.0.0.1:0~shs", () => Effect.never)
      const scope = yield* Scope.make()
      for (let i = 0; i < 20; i++) {
        const connection = yield* Multiserver.dial(address as Address.Address).pipe(Scope.provide(scope))
        yield* Effect.forkChild(Effect.forever(connection.write(new Uint8Array(64 * 1024))))
      }
      for (let i = 0; i < 500; i++) {
        const own = yield* Scope.fork(scope)
        yield* Effect.flatMap(Multiserver.dial("stalled:x"), (connection) => connection.write(pattern(1))).pipe(
          Scope.provide(own)
        )
      }
      yield* Effect.sleep("300 millis")
      const started = yield* Clock.currentTimeMillis
      yield* Scope.close(scope, Exit.void)
      const took = (yield* Clock.currentTimeMillis) - started
      assert.isAtLeast(took, 900)
      // One after the other, they would take nine minutes; a busy machine takes its time too.
      assert.isBelow(took, 60_000)
    }).pipe(
      Effect.provide(
        Multiserver.layer(["net~shs", "stalled"]).pipe(Layer.provide(stalling), Layer.provide(protocols()))
      )
    )
  )
})
