import * as zlib from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import type * as Address from "../../src/Address.ts"
import type * as Connection from "../../src/Connection.ts"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import * as Deflate from "../../src/deflate/Deflate.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as ChildPeer from "../support/childPeer.ts"
import { echo, pair, pattern, protocols, readAll, sameBytes, served } from "../support/servers.ts"

const multiserver = (options: Deflate.Options = {}) =>
  Multiserver.layer(["memory~deflate", "net~deflate", "memory~shs~deflate", "net~deflate~shs", "memory"]).pipe(
    Layer.provide([Deflate.layer(options), protocols()]),
    Layer.provide(Limits.layer({ grace: Duration.millis(50) }))
  )

let wires = 0
/** A dialer of bare memory, whose bytes are those on the wire, and what it has dialed: a connection with deflate. */
const wiretapped = Effect.gen(function* () {
  const arrived = yield* Deferred.make<Connection.Connection>()
  const name = `memory:wire${wires++}`
  yield* served(`${name}~deflate`, (connection) => Effect.andThen(Deferred.succeed(arrived, connection), Effect.never))
  const wire = yield* Multiserver.dial(name)
  return { wire, far: yield* Deferred.await(arrived) }
})

/** The failure of a pull, as a word. */
const failure = (pull: Connection.Connection["pull"]): Effect.Effect<string> =>
  Effect.match(pull, {
    onSuccess: () => "bytes",
    onFailure: (error: ConnectionError | Cause.Done) => (Cause.isDone(error) ? "Done" : error.reason._tag)
  })

/** All that arrives, and what came after it. */
const readOut = Effect.fnUntraced(function* ({ pull }: Connection.Connection) {
  const chunks: Array<Uint8Array> = []
  const last = yield* failure(
    pull.pipe(
      Effect.map((batch) => void chunks.push(...batch)),
      Effect.forever({ disableYield: true })
    )
  )
  return { bytes: new Uint8Array(Buffer.concat(chunks)), last }
})

/** Reads until this many bytes have come. */
const readSome = Effect.fnUntraced(function* ({ pull }: Connection.Connection, length: number) {
  const chunks: Array<Uint8Array> = []
  for (let have = 0; have < length; ) {
    for (const chunk of yield* pull) {
      have += chunk.length
      chunks.push(chunk)
    }
  }
  return new Uint8Array(Buffer.concat(chunks))
})

/** Pieces of 0 to 50,000 bytes. */
const cuts = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const out: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = i % 3 === 0 ? (i * 7) % 30 : (i * 7919) % 50_000
    out.push(bytes.subarray(at, at + size))
    at += size
  }
  return out
}

const text = (string: string) => new TextEncoder().encode(string)
/** Compressed by somebody else, flushed but not ended. */
const open = (bytes: Uint8Array) => zlib.deflateRawSync(bytes, { finishFlush: zlib.constants.Z_SYNC_FLUSH })

/** How many batches were flushed. */
const marks = (bytes: Uint8Array): number => Buffer.from(bytes).toString("latin1").split("\0\0\xff\xff").length - 1

const stacks = ["memory:m~deflate", "memory:m~shs~deflate", "net:127.0.0.1:0~deflate~shs"]

describe.each(stacks)("deflate over %s", (target) => {
  it.live("carries what compresses and what doesn't, however it is cut, to a clean end", () =>
    Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      for (const bytes of [pattern(1 << 20), new Uint8Array(1 << 20), new Uint8Array(0)]) {
        const connection = yield* Multiserver.dial(address as Address.Address)
        yield* Effect.forkChild(
          Effect.andThen(
            Effect.forEach(cuts(bytes), (piece) => connection.write(piece)),
            connection.end
          )
        )
        assert.isTrue(sameBytes(yield* readAll(connection), bytes))
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("brings each write to the other end without another one", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      for (let i = 0; i < 20; i++) {
        yield* near.write(text(`request ${i}`))
        assert.deepStrictEqual(yield* readSome(far, `request ${i}`.length), text(`request ${i}`))
        yield* far.write(text("answer"))
        assert.deepStrictEqual(yield* readSome(near, 6), text("answer"))
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("has a half close: one side ends, and the other goes on", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      assert.isTrue(near.halfClose)
      yield* Effect.andThen(near.write(text("question")), near.end)
      assert.deepStrictEqual(yield* readAll(far), text("question"))
      yield* Effect.forkChild(Effect.andThen(far.write(pattern(300_000)), far.end))
      assert.isTrue(sameBytes(yield* readAll(near), pattern(300_000)))
      assert.strictEqual((yield* Effect.flip(near.write(text("more")))).reason._tag, "LocallyClosed")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("says goodbye with its scope, and breaks off when that fails", () =>
    Effect.gen(function* () {
      const arrived = yield* Queue.unbounded<Connection.Connection>()
      const [address] = yield* served(target, (connection) =>
        Effect.andThen(Queue.offer(arrived, connection), Effect.never)
      )
      for (const [exit, expected] of [
        [Exit.void, ["Done"]],
        [Exit.fail("no"), ["Reset", "Truncated"]]
      ] as const) {
        const scope = yield* Scope.make()
        const near = yield* Scope.provide(Multiserver.dial(address as Address.Address), scope)
        yield* near.write(text("said"))
        const far = yield* Queue.take(arrived)
        assert.deepStrictEqual(yield* readSome(far, 4), text("said"))
        yield* Scope.close(scope, exit)
        assert.include(expected, yield* failure(far.pull))
      }
    }).pipe(Effect.provide(multiserver()))
  )
})

/** How much arrives until the clean end. */
const lengthUntilEnd = (connection: Connection.Connection) =>
  Effect.gen(function* () {
    let total = 0
    const all = connection.pull.pipe(
      Effect.map((chunks) => {
        for (const { length } of chunks) total += length
      }),
      Effect.forever({ disableYield: true })
    )
    assert.strictEqual(yield* failure(all), "Done")
    return total
  })

describe("deflate", () => {
  it.live("is raw deflate on the wire: a peer made of zlib alone in another process understands it", () =>
    Effect.gen(function* () {
      const peer = yield* ChildPeer.start(new URL("./peer.mjs", import.meta.url))
      const { address } = yield* peer.next("listening")
      for (const bytes of [pattern(1 << 20), new Uint8Array(1 << 20), new Uint8Array(0)]) {
        const connection = yield* Multiserver.dial(address)
        yield* Effect.forkChild(
          Effect.andThen(
            Effect.forEach(cuts(bytes), (piece) => connection.write(piece)),
            connection.end
          )
        )
        assert.isTrue(sameBytes(yield* readAll(connection), bytes))
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("joins what is written in one tick, and ends with the stream's own end", () =>
    Effect.gen(function* () {
      const { far, wire } = yield* wiretapped
      yield* Effect.forEach(Array.from({ length: 300 }), () => far.write(new Uint8Array(100)))
      yield* far.end
      const { bytes, last } = yield* readOut(wire)
      assert.strictEqual(last, "Done")
      assert.deepStrictEqual(new Uint8Array(zlib.inflateRawSync(bytes)), new Uint8Array(30_000))
      assert.strictEqual(marks(bytes), 1)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("refers to no earlier batch, unless its layer says that it may leak", () =>
    Effect.gen(function* () {
      const lengths = (options: Deflate.Options) =>
        Effect.gen(function* () {
          const { far, wire } = yield* wiretapped
          const secret = pattern(500)
          const length = Effect.andThen(
            Effect.andThen(far.write(secret), far.flush),
            Effect.map(wire.pull, (chunks) => Buffer.concat(chunks).length)
          )
          return [yield* length, yield* length] as const
        }).pipe(Effect.provide(multiserver(options)))
      const [first, second] = yield* lengths({})
      assert.strictEqual(second, first)
      const [before, after] = yield* lengths({ mayLeak: true })
      assert.isBelow(after, before / 4)
    })
  )

  it.live("passes on who is at the other end, and names itself in where that is", () =>
    Effect.gen(function* () {
      const [over] = yield* pair("memory:m~shs~deflate")
      assert.strictEqual(over.peer._tag, "Authenticated")
      assert.match(String(over.remote), /^memory:m~shs:\S+~deflate$/)
      const [bare] = yield* pair("memory:b~deflate")
      assert.strictEqual(bare.peer._tag, "Anonymous")
      const refused = yield* Effect.flip(Multiserver.dial("memory:b~deflate:9"))
      assert.strictEqual(refused._tag === "DialError" ? refused.reason._tag : refused._tag, "NotDialable")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("reports a stream that was cut off as truncated, after all that came of it", () =>
    Effect.gen(function* () {
      const whole = zlib.deflateRawSync(pattern(100_000))
      for (const sent of [new Uint8Array(0), open(text("half")), whole.subarray(0, -1)]) {
        const { far, wire } = yield* wiretapped
        yield* Effect.andThen(wire.write(sent), wire.end)
        const { bytes, last } = yield* readOut(far)
        assert.strictEqual(last, "Truncated")
        if (sent.length > 0 && sent.length < 100) assert.deepStrictEqual(bytes, text("half"))
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("takes what does not inflate, or follows the end, for a violation, and lets go of the connection", () =>
    Effect.gen(function* () {
      const ended = zlib.deflateRawSync(text("all"))
      for (const sent of [
        [Uint8Array.of(0xff, 0xff, 0xff)],
        [open(text("good")), Uint8Array.of(0xff, 0xff, 0xff)],
        [Buffer.concat([ended, text("more")])],
        [ended, text("more")]
      ]) {
        const { far, wire } = yield* wiretapped
        for (const chunk of sent) yield* wire.write(chunk)
        assert.strictEqual((yield* readOut(far)).last, "ProtocolViolation")
        assert.strictEqual((yield* Effect.flip(far.write(text("answer")))).reason._tag, "ProtocolViolation")
        assert.strictEqual(yield* failure(wire.pull), "Reset")
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("refuses a batch that inflates to more than 16 MiB and 100 times its size, wherever it is cut", () =>
    Effect.gen(function* () {
      const bomb = open(new Uint8Array(17 << 20))
      assert.isBelow(bomb.length, 20_000)
      for (const size of [bomb.length, 1000]) {
        const { far, wire } = yield* wiretapped
        for (let at = 0; at < bomb.length; at += size) yield* wire.write(bomb.subarray(at, at + size))
        const { bytes, last } = yield* readOut(far)
        assert.strictEqual(last, "ProtocolViolation")
        assert.isAtMost(bytes.length, 16 << 20)
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live(
    "refuses batches that each keep to it and altogether inflate to more than 64 MiB and 100 times their size",
    () =>
      Effect.gen(function* () {
        const batch = open(new Uint8Array(7 << 20))
        assert.isBelow(batch.length, 8000)
        const { far, wire } = yield* wiretapped
        yield* Effect.forkChild(Effect.ignore(Effect.forever(wire.write(batch))))
        let total = 0
        const all = far.pull.pipe(
          Effect.map((chunks) => {
            for (const { length } of chunks) total += length
            assert.isBelow(total, 200 << 20)
          }),
          Effect.forever({ disableYield: true })
        )
        assert.strictEqual(yield* failure(all), "ProtocolViolation")
        assert.isAbove(total, 63 << 20)
        assert.isBelow(total, 80 << 20)
      }).pipe(Effect.provide(multiserver()))
  )

  it.live(
    "carries any amount of what compresses best, in one write and in many, with what keeps its reader within bounds",
    () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair("memory:m~deflate")
        const megabyte = new Uint8Array(1 << 20)
        const writing = near
          .write(new Uint8Array(40 << 20))
          .pipe(Effect.andThen(Effect.repeat(near.write(megabyte), { times: 87 })), Effect.andThen(near.end))
        yield* Effect.forkChild(writing)
        assert.strictEqual(yield* lengthUntilEnd(far), 128 << 20)
      }).pipe(Effect.provide(multiserver()))
  )

  it.live("carries any amount in batches that each keep to it", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~deflate")
      const chunk = new Uint8Array(1 << 20)
      yield* Effect.forkChild(Effect.andThen(Effect.repeat(near.write(chunk), { times: 63 }), near.end))
      assert.strictEqual(yield* lengthUntilEnd(far), 64 << 20)
      // The bytes by which a batch is known come one by one.
      const { far: reader, wire } = yield* wiretapped
      const batch = open(new Uint8Array(6 << 20))
      for (let i = 0; i < 3; i++) {
        yield* wire.write(batch.subarray(0, -4))
        assert.strictEqual((yield* readSome(reader, 6 << 20)).length, 6 << 20)
        for (const byte of batch.subarray(-4)) {
          yield* wire.write(Uint8Array.of(byte))
          yield* Effect.sleep("5 millis")
        }
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("inflates only what is pulled", () =>
    Effect.gen(function* () {
      const bomb = open(new Uint8Array(10 << 20))
      const arrived = yield* Queue.unbounded<Connection.Connection>()
      yield* served("memory:m~deflate", (connection) => Effect.andThen(Queue.offer(arrived, connection), Effect.never))
      for (let i = 0; i < 40; i++) {
        const wire = yield* Multiserver.dial("memory:m")
        yield* wire.write(bomb)
      }
      const reader = yield* Queue.take(arrived)
      const before = process.memoryUsage()
      yield* Effect.sleep("500 millis")
      const after = process.memoryUsage()
      // 400 MiB have arrived. 40 readers that don't pull may hold 128 KiB each, and buffers on the way there.
      assert.isBelow(after.arrayBuffers - before.arrayBuffers, 40 << 20)
      assert.isBelow(after.rss - before.rss, 100 << 20)
      assert.strictEqual((yield* readSome(reader, 10 << 20)).length, 10 << 20)
    }).pipe(Effect.provide(multiserver()))
  )
})
