/** Events as a log, as a stream and as JSON. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Reset } from "../src/ConnectionError.ts"
import { DialError, Refused } from "../src/DialError.ts"
import * as Events from "../src/Events.ts"
import { HandshakeError, NotAuthorized } from "../src/HandshakeError.ts"
import * as Limits from "../src/Limits.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { echo, protocols, served } from "./support/servers.ts"

const common = { role: "listen", stack: "net~shs", source: "192.0.2.1", remote: "net:192.0.2.1:9", millis: 12 } as const
const carried = { bytesRead: 3, bytesWritten: 4 }
const authorized = new HandshakeError({
  protocol: "shs",
  phase: "auth",
  reason: new NotAuthorized({ publicKey: "KEY", failed: false })
})
const evil = "192.0.2.1\n\u001b[2J"

const closed = (tag: Events.Closed["tag"]): Events.Closed => ({
  _tag: "Closed",
  ...common,
  ...carried,
  id: 1,
  phase: "open",
  peer: undefined,
  tag
})

const events: ReadonlyArray<readonly [Events.Event, level: string]> = [
  [{ _tag: "Connected", ...common, id: 1, peer: "KEY", connectMillis: 3, origin: undefined, failed: [] }, "Info"],
  [closed("end"), "Info"],
  [{ ...closed("Reset"), failure: new Reset({ code: "ECONNRESET" }) }, "Info"],
  [closed("Tampered"), "Warn"],
  [closed("Defect"), "Error"],
  [
    {
      _tag: "HandshakeFailed",
      ...common,
      ...carried,
      protocol: "shs",
      phase: "auth",
      tag: "NotAuthorized",
      error: authorized
    },
    "Info"
  ],
  [{ _tag: "Refused", stack: "net~shs", source: evil, tag: "TooFast", origin: undefined, count: 3 }, "Warn"],
  [{ _tag: "DialFailed", error: new DialError({ address: "net:h:1", reason: new Refused() }), millis: 1 }, "Warn"],
  [
    {
      _tag: "Fallback",
      from: "net~noise",
      to: "net~shs",
      failed: { address: "net:h:1~noise", reason: new Refused({}) },
      next: "net:h:1~shs"
    },
    "Warn"
  ],
  [
    {
      _tag: "GossipDropped",
      source: "gossip net:h:1~noise:KEY",
      role: "listen",
      remote: "net:192.0.2.1:9~noise:KEY",
      peer: "KEY",
      tag: "BadRecord",
      detail: evil
    },
    "Warn"
  ]
]

describe("the log of events", () => {
  it.effect("has one line for each, safe to print, of the level that an operator expects", () =>
    Effect.gen(function* () {
      const lines: Array<readonly [level: string, text: string]> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        lines.push([logLevel, [message].flat().map(String).join(" ")])
      })
      const sinks = yield* Effect.provide(Events.Events, Events.layerLog)
      for (const [event] of events) {
        yield* Effect.provide(
          Effect.forEach(sinks, (sink) => sink(event)),
          Logger.layer([logger])
        )
      }
      assert.deepStrictEqual(
        lines.map(([level]) => level),
        events.map(([, level]) => level)
      )
      for (const [, text] of lines) assert.match(text, /^[\x20-\x7e]+$/)
      assert.deepStrictEqual(lines[1]?.[1], "closed net:192.0.2.1:9 after 12 ms: end; 3 bytes in, 4 bytes out")
      assert.include(lines[2]?.[1], "Reset, the connection was broken off (ECONNRESET); 3 bytes in")
      assert.deepStrictEqual(lines[6]?.[1], "refused 192.0.2.1\\u{a}\\u{1b}[2J: TooFast (3 times)")
    })
  )
})

describe("events as JSON", () => {
  it.effect("are the same when they have been read again", () =>
    Effect.gen(function* () {
      const codec = Schema.fromJsonString(Schema.toCodecJson(Events.Event))
      for (const [event] of events) {
        const text = yield* Schema.encodeEffect(codec)(event)
        const back = yield* Schema.decodeUnknownEffect(codec)(text)
        assert.strictEqual(back._tag, event._tag)
        assert.strictEqual(Events.line(back), Events.line(event))
        assert.strictEqual(yield* Schema.encodeEffect(codec)(back), text)
      }
    })
  )
})

describe("sinks of events", () => {
  it.live("each get all of them, whatever another one does, also from layers around", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const sink =
        (name: string): Events.Sink =>
        ({ _tag }) =>
          Effect.sync(() => void heard.push(`${name} ${_tag}`))
      const stuck: Events.Sink = () => Effect.uninterruptible(Effect.never)
      const live = Multiserver.layer(["memory"]).pipe(
        Layer.provide(protocols()),
        Layer.provide(Events.layer(stuck, sink("inner"))),
        Layer.provide([Events.layer(sink("outer")), Limits.layer({ close: Duration.millis(10) })])
      )
      yield* Effect.scoped(
        Effect.provide(
          Effect.andThen(
            Effect.flip(Multiserver.dial("memory:nobody")),
            Effect.flip(Multiserver.dial("memory:nobody"))
          ),
          live
        )
      )
      const each = ["inner DialFailed", "outer DialFailed"]
      assert.deepStrictEqual(heard.toSorted(), [...each, ...each].toSorted())
    })
  )
})

describe("the stream of events", () => {
  it.live("ends when its layer is released", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Scope.provide(Layer.build(Events.layerStream()), scope)
      const reader = yield* Effect.forkChild(Stream.runDrain(Events.stream).pipe(Effect.provide(context)), {
        startImmediately: true
      })
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.await(reader)
    })
  )

  it.live("gives each reader all of them, and the other sinks too", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const sink: Events.Sink = ({ _tag }) => Effect.sync(() => void heard.push(_tag))
      const live = Multiserver.layer(["memory~shs"]).pipe(
        Layer.provide(protocols()),
        Layer.provideMerge(Events.layerStream({ capacity: 16 }, sink))
      )
      yield* Effect.gen(function* () {
        const reader = Events.stream.pipe(
          Stream.map(({ _tag }) => _tag),
          Stream.take(4),
          Stream.runCollect
        )
        const readers = yield* Effect.forkChild(Effect.all([reader, reader], { concurrency: "unbounded" }), {
          startImmediately: true
        })
        const [address] = yield* served("memory:events~shs", echo)
        yield* Effect.scoped(Effect.flatMap(Multiserver.dial(address ?? ""), ({ end }) => end))
        const [one, other] = yield* Fiber.join(readers)
        assert.deepStrictEqual(one.toSorted(), ["Closed", "Closed", "Connected", "Connected"])
        assert.deepStrictEqual(other, one)
        assert.deepStrictEqual(heard.slice(0, 3), one.slice(0, 3))
      }).pipe(Effect.scoped, Effect.provide(live))
    })
  )
})
