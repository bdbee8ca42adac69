/** What transports and transforms can make of a link, and what the contracts tell them. */
import { Duplex as NodeDuplex } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import { fromDuplex } from "../src/bridge/Duplex.ts"
import { fromWebStreams } from "../src/bridge/WebStream.ts"
import * as Connection from "../src/Connection.ts"
import type { ConnectionError } from "../src/ConnectionError.ts"
import type * as Events from "../src/Events.ts"
import { HandshakeError, Rejected } from "../src/HandshakeError.ts"
import { formatPublicKey, Identity, type PublicKey } from "../src/Identity.ts"
import * as Link from "../src/Link.ts"
import { Other } from "../src/ListenError.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Transform from "../src/Transform.ts"
import * as Transport from "../src/Transport.ts"
import {
  echo,
  multiserver,
  pair,
  pattern,
  protocols,
  readAll,
  recorder,
  sameBytes,
  served,
  until
} from "./support/servers.ts"

const opaque = (name: string, data = "") => new Address.Opaque({ name, data })
const at = (name: string) => new Address.Address({ transport: opaque(name), transforms: [] })

describe("what authorize gives", () => {
  it.live.each(["net:127.0.0.1:0~shs", "net:127.0.0.1:0~noise", "memory:m~shs"])(
    "is carried by the connection: %s",
    (target) =>
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        assert.deepStrictEqual(far.authorized, { user: "ada" })
        assert.isUndefined(near.authorized)
      }).pipe(Effect.provide(multiserver({ authorize: () => Effect.succeedSome({ user: "ada" }) })))
  )

  it.live.each(["net:127.0.0.1:0~shs", "net:127.0.0.1:0~noise"])("refuses when it is none: %s", (target) =>
    Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      const error = yield* Effect.flip(Multiserver.dial(String(address)))
      assert.include(error.message, "we authenticated")
    }).pipe(Effect.provide(multiserver({ authorize: () => Effect.succeedNone })))
  )
})

describe("a channel binding", () => {
  it.live("is the same on both sides of a noise session, and another one in the next", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:one~noise")
      const [other] = yield* pair("memory:two~noise")
      assert.strictEqual(near.binding?.length, 64)
      assert.deepStrictEqual(near.binding, far.binding)
      assert.notDeepEqual(near.binding, other.binding)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("is not there where a protocol has none", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m~shs")
      assert.isUndefined(near.binding)
    }).pipe(Effect.provide(multiserver()))
  )
})

/** Both sides say four bytes, and then nothing of it is left. */
const greeting = (write: Uint8Array) =>
  Transform.layer("greeting", {
    section: Address.section("greeting", Schema.Literal("")),
    authenticates: false,
    outbound: (link) => greet(link, write),
    inbound: (link) => greet(link, write)
  })

const greet = (link: Link.Link, write: Uint8Array) =>
  Transform.fromCodec(link, (wire) =>
    Effect.gen(function* () {
      yield* wire.write(write)
      yield* wire.read(4)
      return { section: opaque("greeting") }
    }).pipe(
      Effect.mapError(
        () => new HandshakeError({ protocol: "greeting", phase: "hello", reason: new Rejected({ after: "hello" }) })
      )
    )
  )

describe("a transform without a codec", () => {
  it.live.each([0, 1, 100_000])(
    "hands on what follows as it is, with %s bytes that came with its last message",
    (extra) =>
      Effect.gen(function* () {
        const [address] = yield* served("memory:m~greeting", echo)
        const connection = yield* Multiserver.dial(String(address))
        const sent = pattern(200_000)
        yield* Effect.forkChild(Effect.andThen(connection.write(sent), connection.end))
        // What each side has said too much comes first.
        const expected = Buffer.concat([pattern(extra, 3), pattern(extra, 3), sent])
        assert.isTrue(sameBytes(yield* readAll(connection), expected))
      }).pipe(
        Effect.provide(
          Multiserver.layer(["memory~greeting"]).pipe(
            Layer.provide([protocols(), greeting(Buffer.concat([Buffer.from("helo"), pattern(extra, 3)]))])
          )
        )
      )
  )
})

describe("a transform within a stack", () => {
  it.live("is told the names of those above it on both sides, the next one first", () =>
    Effect.gen(function* () {
      const told: Array<readonly [name: string, side: string, above: ReadonlyArray<string>]> = []
      const telling = <const Name extends string>(name: Name) => {
        const hears =
          (side: string) => (link: Link.Link, _section: unknown, _below: unknown, above: readonly string[]) =>
            Effect.sync(() => {
              told.push([name, side, above])
              return Link.over(link, link.port, { remote: link.remote.with(opaque(name)) })
            })
        return Transform.layer(name, {
          section: Address.section(name, Schema.Literal("")),
          authenticates: false,
          outbound: hears("outbound"),
          inbound: hears("inbound")
        })
      }
      const layers = [telling("one"), telling("two"), telling("three")] as const
      const live = Multiserver.layer(["memory~one~two~three", "memory~three"]).pipe(
        Layer.provide([protocols(), ...layers])
      )
      yield* pair("memory:all~one~two~three").pipe(Effect.provide(live))
      const alone = yield* pair("memory:alone~three").pipe(Effect.provide(live))
      assert.strictEqual(String(alone[0].remote), "memory:alone~three")
      const of = (name: string, side: string) =>
        told.filter((each) => each[0] === name && each[1] === side).map(([, , above]) => above)
      for (const side of ["outbound", "inbound"]) {
        assert.deepStrictEqual(of("one", side), [["two", "three"]])
        assert.deepStrictEqual(of("two", side), [["three"]])
        assert.deepStrictEqual(of("three", side), [[], []])
      }
    })
  )
})

describe("a transform made of effects", () => {
  const plain = Transform.layer("plain", {
    section: Address.section("plain", Schema.Literal("")),
    authenticates: false,
    outbound: (link) => plainly(link),
    inbound: (link) => plainly(link)
  })
  const plainly = (link: Link.Link) =>
    Transform.fromConnection(link, opaque("plain"), ({ end, halfClose, pull, writeAll }) =>
      Effect.succeed({ end, halfClose, pull, writeAll })
    )

  it.live("goes with all that it stands on, also when its effects say nothing of that", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~plain")
      yield* near.write(pattern(10))
      yield* far.pull
      yield* Connection.destroy(near)
      yield* Effect.exit(readAll(far))
      assert.strictEqual((yield* near.closed).tag, "LocallyClosed")
    }).pipe(Effect.provide(Multiserver.layer(["net~plain"]).pipe(Layer.provide([protocols(), plain]))))
  )
})

/** Two streams, each the other's end. */
const duplexes = (): readonly [NodeDuplex, NodeDuplex] => {
  const end = (other: () => NodeDuplex) =>
    new NodeDuplex({
      read: () => {},
      write: (chunk, _, callback) => {
        other().push(chunk)
        callback()
      },
      final: (callback) => {
        other().push(null)
        callback()
      }
    })
  const one: NodeDuplex = end(() => two)
  const two: NodeDuplex = end(() => one)
  return [one, two]
}

const readable = (chunks: ReadonlyArray<Uint8Array>) =>
  new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    }
  })

describe("a link from a Duplex", () => {
  it.live("carries bytes both ways, and ends as the stream does", () =>
    Effect.gen(function* () {
      const [one, other] = duplexes()
      const near = Connection.onTop(yield* fromDuplex(one, { remote: at("near") }))
      const far = Connection.onTop(yield* fromDuplex(other, { remote: at("far") }))
      yield* Effect.forkChild(echo(far))
      yield* Effect.forkChild(Effect.andThen(near.write(pattern(1 << 20)), near.end))
      assert.isTrue(sameBytes(yield* readAll(near), pattern(1 << 20)))
      assert.strictEqual((yield* near.closed).tag, "end")
    })
  )

  it.live("breaks with the stream's error, and an error that comes when it is gone is heard too", () =>
    Effect.gen(function* () {
      const [one] = duplexes()
      const near = yield* Effect.scoped(
        Effect.gen(function* () {
          const own = Connection.onTop(yield* fromDuplex(one, { remote: at("near") }))
          one.destroy(Object.assign(new Error("gone"), { code: "EGONE" }))
          const error = yield* Effect.flip(readAll(own))
          assert.include(error.message, "EGONE")
          return own
        })
      )
      one.emit("error", new Error("late"))
      assert.strictEqual((yield* near.closed).tag, "Reset")
    })
  )

  it.live("is destroyed with its scope", () =>
    Effect.gen(function* () {
      const [one] = duplexes()
      yield* Effect.scoped(fromDuplex(one, { remote: at("near") }))
      assert.isTrue(one.destroyed)
    })
  )

  it.live("takes what is no bytes for a violation", () =>
    Effect.gen(function* () {
      const near = Connection.onTop(yield* fromDuplex(NodeDuplex.from([{ no: "bytes" }]), { remote: at("near") }))
      const error = yield* Effect.flip(readAll(near))
      assert.strictEqual(error.reason._tag, "ProtocolViolation")
    })
  )
})

describe("a link from web streams", () => {
  it.live("carries bytes both ways", () =>
    Effect.gen(function* () {
      const got: Array<Uint8Array> = []
      const writable = new WritableStream<Uint8Array>({ write: (chunk) => void got.push(chunk) })
      const link = yield* fromWebStreams(
        { readable: readable([pattern(10), pattern(70_000)]), writable },
        { remote: at("w") }
      )
      const near = Connection.onTop(link)
      assert.isTrue(sameBytes(yield* readAll(near), Buffer.concat([pattern(10), pattern(70_000)])))
      yield* near.write(pattern(1000))
      yield* near.end
      assert.isTrue(sameBytes(Buffer.concat(got), pattern(1000)))
      assert.strictEqual((yield* near.closed).tag, "end")
    })
  )

  it.live("breaks with what errors them", () =>
    Effect.gen(function* () {
      const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(new TypeError("broken")) })
      const near = Connection.onTop(
        yield* fromWebStreams({ readable: broken, writable: new WritableStream() }, { remote: at("w") })
      )
      const error = yield* Effect.flip(readAll(near))
      assert.strictEqual(error.reason._tag, "Reset")
    })
  )
})

describe("what a transport is told", () => {
  /** `told`: memory's other name, that keeps what it was told. */
  const telling = (told: { dial?: Transport.DialOptions; listen?: Transport.ListenOptions }) =>
    Transport.layer("told", {
      section: Address.section("told", Schema.String),
      reach: () => "device",
      dial: (_, options) =>
        Effect.suspend(() => {
          told.dial = options
          // Through another listener of the same Multiserver, as a relay would.
          return Effect.flatMap(Effect.orDie(options.dial(relayed())), Connection.toLink)
        }),
      listen: (_, __, options) =>
        Effect.sync(() => {
          told.listen = options
          return { section: opaque("told", ":x") }
        })
    })
  let target: Address.MultiAddress | undefined
  const relayed = (): Address.MultiAddress => target ?? [at("none")]
  const keyOf = (key: PublicKey | undefined) => key && formatPublicKey(key)

  it.live("is the key that the stack asks for, and a dial of the same Multiserver, which it can be made of", () => {
    const told: { dial?: Transport.DialOptions; listen?: Transport.ListenOptions } = {}
    return Effect.gen(function* () {
      const { publicKey } = yield* Identity
      const key = formatPublicKey(publicKey)
      yield* Multiserver.listen("told:x~shs")
      // What comes through memory speaks shs: the transport `told` carries it there.
      const inner = yield* served("memory:m~shs", echo)
      const [address] = inner
      target = [new Address.Address({ transport: (address as Address.Address).transport, transforms: [] })]
      const connection = yield* Multiserver.dial(`told:x~shs:${key}`)
      assert.strictEqual(keyOf(told.listen?.key), key)
      assert.strictEqual(keyOf(told.dial?.key), key)
      assert.isTrue(told.dial?.authenticates)
      yield* Effect.forkChild(Effect.andThen(connection.write(pattern(100_000)), connection.end))
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(100_000)))
      assert.strictEqual(connection.peer._tag, "Authenticated")
    }).pipe(
      Effect.provide(
        Multiserver.layer(["told~shs", "memory~shs", "memory"]).pipe(
          Layer.provide(telling(told)),
          Layer.provideMerge(protocols())
        )
      )
    )
  })

  it.live("may turn out not to have accepted anybody: the event has its error, and the next one is served", () => {
    const events: Array<Events.Event> = []
    const error = new HandshakeError({ protocol: "odd", phase: "accept", reason: new Rejected({ after: "connect" }) })
    let onAccepted: Transport.OnAccepted | undefined
    const odd = Transport.layer("odd", {
      section: Address.section("odd", Schema.String),
      reach: () => "device",
      dial: () => Effect.never,
      listen: (_, accept) =>
        Effect.sync(() => {
          onAccepted = accept
          return { section: opaque("odd", ":x") }
        })
    })
    return Effect.gen(function* () {
      const served = yield* Deferred.make<string | undefined>()
      const listener = yield* Multiserver.listen("odd:x")
      yield* Effect.forkScoped(listener.run((connection) => Deferred.succeed(served, connection.source)))
      assert.isTrue(onAccepted?.(Effect.fail(error), "somebody's key"))
      yield* until(() => events.length > 0)
      const [event] = events
      assert.strictEqual(event?._tag === "HandshakeFailed" && event.error, error)
      assert.strictEqual(event?._tag === "HandshakeFailed" && event.source, "somebody's key")
      const [one] = duplexes()
      onAccepted?.(fromDuplex(one, { remote: at("odd"), source: "another key" }), "another key")
      assert.strictEqual(yield* Deferred.await(served), "another key")
    }).pipe(Effect.provide(Multiserver.layer(["odd"]).pipe(Layer.provide(odd), Layer.provide(recorder(events)))))
  })

  it.live("may say in its own words why it can't listen, and whether a retry can help", () => {
    const failing = Transport.layer("failing", {
      section: Address.section("failing", Schema.String),
      reach: () => "device",
      dial: () => Effect.never,
      listen: () => Effect.fail(new Other({ code: "Full", detail: "the relay has no room", isRetryable: true }))
    })
    return Effect.gen(function* () {
      const error = yield* Effect.flip(Multiserver.listen("failing:x"))
      assert.strictEqual(error.message, "listen on failing:x: the relay has no room (Full)")
      assert.isTrue(error.isRetryable)
    }).pipe(Effect.provide(Multiserver.layer(["failing"]).pipe(Layer.provide(failing))))
  })
})

describe("a connection that is taken apart", () => {
  it.live("hands on what it had taken and nobody had read", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      yield* near.writeAll([pattern(10), pattern(20_000, 2)])
      yield* near.end
      const paused = yield* Deferred.make<number>()
      const borrowing = yield* Effect.forkChild(
        Connection.forEachChunk(far, (chunk) => Effect.andThen(Deferred.succeed(paused, chunk.length), Effect.never))
      )
      const read = yield* Deferred.await(paused)
      yield* Fiber.interrupt(borrowing)
      const again = Connection.onTop(yield* Connection.toLink(far))
      const expected = Buffer.concat([pattern(10), pattern(20_000, 2)]).subarray(read)
      assert.isTrue(sameBytes(yield* readAll(again), expected))
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("closed", () => {
  it.live("lets a handler of callbacks wait for the end: it returns, and its place is free", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("memory:m~shs", (connection) =>
        Effect.gen(function* () {
          yield* Effect.forkScoped(Effect.ignore(echo(connection)))
          yield* connection.closed
        })
      )
      const connection = yield* Multiserver.dial(String(address))
      yield* Effect.forkChild(Effect.andThen(connection.write(pattern(10)), connection.end))
      yield* readAll(connection)
      yield* until(() => events.some((event) => event._tag === "Closed" && event.role === "listen"))
      const closed = events.find((event) => event._tag === "Closed")
      assert.strictEqual(closed?._tag === "Closed" && closed.tag, "end")
    }).pipe(Effect.provide(multiserver().pipe(Layer.provide(recorder(events)))))
  })

  it.live("says how: end, the reason of a break, what this side did, and its scope's end", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~shs")
      yield* Connection.destroy(near)
      assert.strictEqual((yield* near.closed).tag, "LocallyClosed")
      const late: Option.Option<ConnectionError> = yield* Effect.flip(readAll(far)).pipe(Effect.asSome)
      assert.strictEqual((yield* far.closed).tag, Option.getOrThrow(late).reason._tag)
    }).pipe(Effect.provide(multiserver()))
  )
})
