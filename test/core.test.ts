/**
 * The machines under a connection, over a port that does what honest ports may do: call back at any moment, fill up,
 * fail, throw.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import * as Codec from "../src/Codec.ts"
import * as Connection from "../src/Connection.ts"
import { locallyClosed, type PortFailure, Reset } from "../src/ConnectionError.ts"
import * as Limits from "../src/Limits.ts"
import * as Link from "../src/Link.ts"
import * as Multiserver from "../src/Multiserver.ts"
import type { Chunks, Port, PortListener } from "../src/Port.ts"
import * as Transform from "../src/Transform.ts"
import * as Transport from "../src/Transport.ts"
import { echo, pattern, protocols, readAll, sameBytes, served, turns } from "./support/servers.ts"

const who: Link.Who = {
  remote: new Address.Address({ transport: new Address.Memory({ name: "x" }), transforms: [] }),
  peer: new Connection.Anonymous()
}
const section = new Address.Opaque({ name: "plain", data: "" })
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (chunks: Iterable<Uint8Array>) => Buffer.concat([...chunks]).toString()

/** A port that does as the test says. */
class TestPort implements Port {
  halfClose = true
  copies = true
  failure: PortFailure | undefined
  listener: PortListener | undefined
  arrived: Array<Uint8Array> = []
  hasEnded = false
  out: Array<Uint8Array> = []
  pending = 0
  full = false
  onTake: (() => void) | undefined
  onOffer: (() => void) | undefined

  listen(listener: PortListener): void {
    this.listener = listener
  }
  take(): Chunks | undefined {
    const [first, ...rest] = this.arrived
    this.arrived = []
    this.onTake?.()
    return first === undefined ? undefined : [first, ...rest]
  }
  get ended(): boolean {
    return this.hasEnded && this.arrived.length === 0
  }
  offer(own: Uint8Array): boolean {
    this.out.push(this.copies ? new Uint8Array(own) : own)
    this.onOffer?.()
    return this.copies
  }
  flush(): void {}
  end(): void {}
  close(): void {
    this.failure ??= locallyClosed
  }
  destroy(): void {
    this.failure ??= locallyClosed
  }
  arrive(...chunks: ReadonlyArray<Uint8Array>): void {
    this.arrived.push(...chunks)
    this.listener?.readable()
  }
}

/** One that lends what arrives, and has other bytes there afterwards. */
class LendingPort extends TestPort {
  private lends = false

  borrow(): Chunks | undefined {
    return this.lends ? this.take() : undefined
  }
  override arrive(...chunks: ReadonlyArray<Uint8Array>): void {
    this.lends = true
    super.arrive(...chunks)
    this.lends = false
    for (const chunk of chunks) if (!this.arrived.includes(chunk)) chunk.fill(0)
  }
}

const open = (port: Port) => Effect.map(Link.make(port, who), (link) => Connection.onTop(link))

const viewOf = ({ buffer, byteLength, byteOffset }: Uint8Array) => new DataView(buffer, byteOffset, byteLength)

/** A codec that seals nothing: a length of four bytes, then the body. */
const plainCodec = (onSeal?: () => void): Codec.Codec => ({
  sealer: {
    head: 4,
    tail: 0,
    maxBody: 4096,
    endLength: 4,
    seal: (stage, offset, length) => {
      onSeal?.()
      viewOf(stage).setUint32(offset, length)
    },
    sealEnd: (stage, offset) => viewOf(stage).setUint32(offset, 0xffff_ffff)
  },
  opener: Codec.opener({
    head: 4,
    openHead: (head) => (viewOf(head).getUint32(0) === 0xffff_ffff ? "end" : viewOf(head).getUint32(0)),
    openBody: (sealed, plain) => {
      plain.set(sealed)
      return sealed.length
    }
  }),
  wipe: () => {}
})

/** A connection with that codec. */
const openPlain = (port: Port, onSeal?: () => void) =>
  Effect.gen(function* () {
    const link = yield* Link.make(port, who)
    return Connection.onTop(
      yield* Transform.fromCodec(link, () => Effect.succeed({ section, codec: plainCodec(onSeal) }))
    )
  })

const diesOf = (exit: Exit.Exit<unknown, unknown>, cause: unknown): boolean =>
  Exit.isFailure(exit) && exit.cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect === cause)

describe("a reader", () => {
  it.effect("keeps order over a port that notifies while it is taken from, in the handshake too", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const more = [bytes("34"), bytes("56")]
      port.onTake = () => {
        const next = more.shift()
        if (next !== undefined) port.arrive(next)
      }
      port.arrived.push(bytes("12"))
      const link = yield* Link.make(port, who)
      const upgraded = yield* Transform.fromCodec(link, (wire) =>
        Effect.map(wire.read(4), (read) => {
          assert.strictEqual(text([read]), "1234")
          return { section }
        })
      )
      const connection = Connection.onTop(upgraded)
      port.hasEnded = true
      assert.strictEqual(text([yield* readAll(connection)]), "56")
    })
  )

  it.effect("finds a frame that comes in many pieces, each of which arrives while the one before is taken", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const frame = new Uint8Array(4 + 3000).fill(7)
      viewOf(frame).setUint32(0, 3000)
      const more = Array.from({ length: frame.length }, (_, i) => frame.slice(i, i + 1))
      port.onTake = () => {
        const next = more.shift()
        if (next !== undefined) port.arrive(next)
      }
      const connection = yield* openPlain(port)
      const pulling = yield* Effect.forkChild(connection.pull, { startImmediately: true })
      port.listener?.readable()
      assert.strictEqual(Buffer.concat(yield* Fiber.join(pulling)).length, 3000)
    })
  )

  it.effect("does not spin over a port that notifies each time, with nothing to take", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      port.onTake = () => port.listener?.readable()
      const connection = yield* open(port)
      const pulling = yield* Effect.forkChild(connection.pull, { startImmediately: true })
      port.onTake = undefined
      port.arrive(bytes("there"))
      assert.strictEqual(text(yield* Fiber.join(pulling)), "there")
    })
  )

  it.effect("calls a borrower no more that is interrupted within its callback, and keeps the rest", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const connection = yield* open(port)
      const seen: Array<string> = []
      const done = yield* Deferred.make<void>()
      const borrowing = yield* Effect.forkChild(
        Effect.raceFirst(
          Connection.forEachChunk(connection, (chunk) => {
            seen.push(text([chunk]))
            if (text([chunk]) === "b") Deferred.doneUnsafe(done, Effect.void)
          }),
          Deferred.await(done)
        ),
        { startImmediately: true }
      )
      port.arrive(bytes("a"), bytes("b"), bytes("c"), bytes("d"))
      yield* Fiber.join(borrowing)
      assert.deepStrictEqual(seen, ["a", "b"])
      assert.strictEqual(text(yield* connection.pull), "cd")
    })
  )

  it.effect("gives a borrower that pauses at each of many small chunks all of them, once", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const connection = yield* open(port)
      const count = 131_072
      port.arrived = Array.from({ length: count }, (_, i) => Uint8Array.of(i & 0xff))
      port.hasEnded = true
      let seen = 0
      yield* Connection.forEachChunk(connection, (chunk) => {
        assert.strictEqual(chunk[0], seen++ & 0xff)
        return Effect.void
      })
      assert.strictEqual(seen, count)
    })
  )

  it.effect.each(["lent", "taken"])("keeps all in order when a borrower drains and pauses amid what was %s", (how) =>
    Effect.gen(function* () {
      const port = how === "lent" ? new LendingPort() : new TestPort()
      const link = yield* Link.make(port, who)
      const connection = Connection.onTop(link)
      const seen: Array<string> = []
      const borrowing = yield* Effect.forkChild(
        Connection.forEachChunk(connection, (chunk) => {
          seen.push(text([chunk]))
          if (seen.length > 1) return
          port.arrived.push(bytes("d"))
          link.leaving.drain()
          return Effect.void
        }),
        { startImmediately: true }
      )
      port.arrive(bytes("a"), bytes("b"), bytes("c"))
      const exit = yield* Fiber.await(borrowing)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(seen, ["a", "b", "c", "d"])
    })
  )

  it.effect.each(["lent", "taken"])("hands on the rest of what was %s when a borrower takes it apart", (how) =>
    Effect.gen(function* () {
      const port = how === "lent" ? new LendingPort() : new TestPort()
      const connection = yield* open(port)
      let link: Link.Link | undefined
      yield* Effect.forkChild(
        Connection.forEachChunk(connection, () => {
          link = Effect.runSync(Effect.scoped(Connection.toLink(connection)))
        }),
        { startImmediately: true }
      )
      port.arrive(bytes("a"), bytes("b"), bytes("c"))
      if (link === undefined) return assert.fail("it was not taken apart")
      const again = Connection.onTop(link)
      port.arrive(bytes("d"))
      port.hasEnded = true
      assert.strictEqual(text([yield* readAll(again)]), "bcd")
    })
  )

  it.effect("delivers what had arrived when it drains, also behind what a handshake had read too much of", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      port.arrived.push(bytes("Hone"))
      const link = yield* Link.make(port, who)
      const upgraded = yield* Transform.fromCodec(link, (wire) => Effect.as(wire.read(1), { section }))
      const connection = Connection.onTop(upgraded)
      port.arrive(bytes("two"))
      link.leaving.drain()
      port.arrive(bytes("late"))
      assert.strictEqual(text(yield* connection.pull), "onetwo")
      const error = yield* Effect.flip(Effect.catchTag(connection.pull, "Done", () => Effect.die("no end")))
      assert.strictEqual(error.reason._tag, "LocallyClosed")
    })
  )
})

describe("a connection that this side gives up on", () => {
  it.effect("has what had arrived, also behind a codec, and then says why", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const link = yield* Link.make(port, who)
      const upgraded = yield* Transform.fromCodec(link, () => Effect.succeed({ section, codec: plainCodec() }))
      const connection = Connection.onTop(upgraded)
      port.arrive(Uint8Array.of(0, 0, 0, 3), bytes("one"), Uint8Array.of(0, 0, 0, 3), bytes("two"))
      link.leaving.expire("idle")
      assert.strictEqual(text(yield* connection.pull), "onetwo")
      const error = yield* Effect.flip(Effect.catchTag(connection.pull, "Done", () => Effect.die("no end")))
      assert.strictEqual(error.reason._tag, "TimedOut")
      assert.deepInclude(yield* connection.closed, { tag: "TimedOut", failure: error.reason })
      assert.match(error.message, /idle time/)
    })
  )
})

describe("a writer", () => {
  it.effect("loses no waiter that comes to wait while the port is written to", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const connection = yield* open(port)
      port.onOffer = () => port.arrive(bytes("echo"))
      const asking = yield* Effect.forkChild(Effect.andThen(connection.pull, connection.flush), {
        startImmediately: true
      })
      yield* connection.write(bytes("hello"))
      yield* Fiber.join(asking)
    })
  )

  it.effect("fails a write that the codec refuses, however it is written", () =>
    Effect.gen(function* () {
      const writes: ReadonlyArray<(connection: Connection.Connection) => ReturnType<typeof connection.write>> = [
        (connection) => connection.write(new Uint8Array(4096)),
        (connection) => connection.writeAll([new Uint8Array(4096)])
      ]
      for (const write of writes) {
        const link = yield* Link.make(new TestPort(), who)
        const codec = plainCodec()
        const spent = { ...codec, sealer: { ...codec.sealer, spent: true } }
        const connection = Connection.onTop(Link.over(link, Codec.port(link, spent, []), {}))
        assert.strictEqual((yield* Effect.flip(write(connection))).reason._tag, "ProtocolViolation")
      }
    })
  )

  it.effect("resumes each of several writes when the first of them fails in the codec, and none twice", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const thrown = new Error("seal")
      const connection = yield* openPlain(port, () => {
        throw thrown
      })
      port.full = true
      const both: Effect.Effect<unknown, unknown> = Effect.all(
        [Effect.forever(connection.pull), connection.write(new Uint8Array(10_000))],
        {
          concurrency: "unbounded"
        }
      )
      const fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [
        yield* Effect.forkChild(both, { startImmediately: true }),
        yield* Effect.forkChild(connection.write(bytes("two")), { startImmediately: true }),
        yield* Effect.forkChild(connection.write(bytes("three")), { startImmediately: true })
      ]
      port.full = false
      port.listener?.drained()
      for (const [i, fiber] of fibers.entries()) {
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(diesOf(exit, thrown), `${i}: ${JSON.stringify(exit)}`)
      }
    })
  )

  it.effect("writes whole among fibers over a port that calls back within an offer", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const connection = yield* openPlain(port)
      let isFirst = true
      port.onOffer = () => {
        if (!isFirst) return
        isFirst = false
        const frame = new Uint8Array(6)
        viewOf(frame).setUint32(0, 2)
        port.arrive(frame)
      }
      const nested = bytes("<<<nested>>>")
      yield* Effect.forkChild(Effect.andThen(connection.pull, connection.write(nested)), { startImmediately: true })
      yield* connection.write(new Uint8Array(100).fill(97))
      yield* connection.write(new Uint8Array(65_536).fill(98))
      yield* connection.flush
      yield* turns
      const plain: Array<Uint8Array> = []
      const sealed = Buffer.concat(port.out)
      for (let at = 0; at < sealed.length; ) {
        const length = sealed.readUInt32BE(at)
        plain.push(sealed.subarray(at + 4, at + 4 + length))
        at += 4 + length
      }
      const all = Buffer.concat(plain).toString()
      assert.match(all, /^(<<<nested>>>)?a{100}(<<<nested>>>)?b{65536}(<<<nested>>>)?$/)
      assert.include(all, "<<<nested>>>")
    })
  )

  it.effect("never hands out a stage again that a failed port may still be sending", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      port.copies = false
      const connection = yield* openPlain(port)
      yield* connection.write(pattern(4000))
      yield* Effect.forkChild(connection.flush, { startImmediately: true })
      const held = port.out[0] as Uint8Array
      const before = new Uint8Array(held)
      port.failure = new Reset({ code: "ECONNRESET" })
      port.listener?.readable()
      port.listener?.drained()
      const other = yield* openPlain(new TestPort())
      for (let i = 0; i < 100; i++) {
        yield* other.write(pattern(4000, 7))
        yield* other.flush
      }
      assert.isTrue(sameBytes(held, before))
    })
  )
})

describe("what a port throws", () => {
  it.live("in the tick of a codec, or while a handshake reads, ends its connection and not the process", () =>
    Effect.gen(function* () {
      const thrown = new Error("mine")
      const fail = () => {
        throw thrown
      }
      const writing = new TestPort()
      const connection = yield* openPlain(writing)
      const pulling = yield* Effect.forkChild(connection.pull, { startImmediately: true })
      writing.onOffer = fail
      yield* connection.write(bytes("x"))
      assert.isTrue(diesOf(yield* Fiber.await(pulling), thrown))
      assert.strictEqual((yield* connection.closed).tag, "Defect")

      const reading = new TestPort()
      const link = yield* Link.make(reading, who)
      const handshake = yield* Effect.forkChild(
        Transform.fromCodec(link, (wire) => Effect.as(wire.read(1), { section })),
        { startImmediately: true }
      )
      reading.onTake = fail
      reading.arrive(bytes("x"))
      assert.isTrue(diesOf(yield* Fiber.await(handshake), thrown))
    })
  )
})

describe("closed", () => {
  it.effect("succeeds when an end has left whose wait was interrupted, and the peer's end was read", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const connection = yield* open(port)
      port.pending = 10
      const ending = yield* Effect.forkChild(connection.end, { startImmediately: true })
      yield* Fiber.interrupt(ending)
      port.pending = 0
      port.listener?.drained()
      port.hasEnded = true
      port.listener?.readable()
      assert.isTrue(Cause.isDone(yield* Effect.flip(connection.pull)))
      assert.strictEqual((yield* connection.closed).tag, "end")
    })
  )

  it.effect("is heard by who waits when the last bytes are pulled after the end had arrived", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const connection = yield* open(port)
      yield* connection.end
      port.arrived.push(bytes("x"))
      port.hasEnded = true
      const closed = yield* Effect.forkChild(connection.closed, { startImmediately: true })
      yield* connection.pull
      assert.strictEqual((yield* Fiber.join(closed)).tag, "end")
    })
  )

  it.effect("succeeds while its listener drains, when this side has ended", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const link = yield* Link.make(port, who)
      const connection = Connection.onTop(link)
      link.leaving.drain()
      const closed = yield* Effect.forkChild(connection.closed, { startImmediately: true })
      yield* connection.end
      assert.strictEqual((yield* Fiber.join(closed)).tag, "closed")
    })
  )

  it.effect("says what broke it, also after this side has destroyed it", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const connection = yield* open(port)
      port.failure = new Reset({ code: "ECONNRESET" })
      port.listener?.readable()
      yield* Connection.destroy(connection)
      assert.strictEqual((yield* connection.closed).tag, "Reset")
    })
  )
})

describe("a connection that was taken apart", () => {
  it.effect("is closed, and has an account of its own, whoever has its stack afterwards", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const connection = yield* open(port)
      yield* connection.write(bytes("four"))
      const early = yield* Effect.forkChild(connection.closed, { startImmediately: true })
      const again = Connection.onTop(yield* Connection.toLink(connection))
      yield* again.write(bytes("seventy"))
      const own = { bytesRead: 0, bytesWritten: 4, tag: "closed" }
      assert.deepStrictEqual(yield* Fiber.join(early), own)
      assert.deepStrictEqual(yield* connection.closed, own)
      assert.strictEqual(String(connection), "Connection(memory:x, closed)")
      yield* Connection.destroy(again)
      assert.deepStrictEqual(yield* connection.closed, own)
      assert.strictEqual((yield* again.closed).bytesWritten, 7)
    })
  )
})

describe("a stack that has been left", () => {
  it.effect("stays so: a connection on top of it is closed, and what comes to it is let go of at once", () =>
    Effect.gen(function* () {
      const port = new TestPort()
      const link = yield* Effect.scoped(Link.make(port, who))
      const connection = Connection.onTop(link)
      assert.deepStrictEqual(yield* connection.closed, { bytesRead: 0, bytesWritten: 0, tag: "LocallyClosed" })
      assert.strictEqual(String(connection), "Connection(memory:x, closed)")
      const error = yield* Effect.flip(connection.write(bytes("late")))
      assert.strictEqual(error.reason._tag, "LocallyClosed")
      let released = 0
      const opened = Effect.acquireRelease(Effect.void, () => Effect.sync(() => void released++))
      yield* Link.lay(link, () => opened)
      yield* Link.lay(link, () => opened)
      assert.strictEqual(released, 2)
      let wiped = 0
      Link.over(link, Codec.port(link, { ...plainCodec(), wipe: () => void wiped++ }, []), {})
      assert.strictEqual(wiped, 1)
    })
  )
})

describe("effects", () => {
  it.live("that are interrupted fail whoever waits", () =>
    Effect.gen(function* () {
      const queue = yield* Queue.unbounded<Connection.Chunks, Cause.Done>()
      const link = yield* Connection.fromEffects({
        ...who,
        pull: Queue.take(queue),
        writeAll: () => Effect.interrupt,
        end: Effect.void,
        halfClose: true
      })
      const connection = Connection.onTop(link)
      const pulling = yield* Effect.forkChild(Effect.flip(connection.pull), { startImmediately: true })
      yield* Queue.shutdown(queue)
      const error = yield* Fiber.join(pulling)
      assert.strictEqual(Cause.isDone(error) ? "Done" : error.reason._tag, "Reset")
      assert.strictEqual((yield* connection.closed).tag, "Reset")
    })
  )
})

describe("a transport that is made of another connection", () => {
  it.live("gives back the room of both dials", () => {
    let target: Address.MultiAddress | undefined
    const via = Transport.layer("via", {
      section: Address.section("via", Schema.String),
      reach: () => "device",
      dial: (_, { dial }) =>
        Effect.suspend(() =>
          target === undefined ? Effect.never : Effect.flatMap(Effect.orDie(dial(target)), Connection.toLink)
        )
    })
    return Effect.gen(function* () {
      target = (yield* served("memory:m", echo)) as Address.MultiAddress
      // Each takes two places, and newcomers are refused when there are none.
      for (let i = 0; i < 15; i++) yield* Effect.andThen(Effect.scoped(Multiserver.dial("via:x")), turns)
    }).pipe(
      Effect.provide(
        Multiserver.layer(["via", "memory"]).pipe(
          Layer.provide([via, protocols()]),
          Layer.provide(Limits.layer({ connections: 10 }))
        )
      )
    )
  })
})
