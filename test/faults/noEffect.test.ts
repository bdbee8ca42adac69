/**
 * Code that returns something else where an effect is expected: that of a program without types, or an `async` function
 * by mistake. It is a fault of its author's, told as one, and whatever it had is released.
 */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../../src/Address.ts"
import { Refused } from "../../src/DialError.ts"
import * as Events from "../../src/Events.ts"
import type * as Listener from "../../src/Listener.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Transform from "../../src/Transform.ts"
import * as Transport from "../../src/Transport.ts"
import { echo, multiserver, protocols, recorder, served, until } from "../support/servers.ts"

/** What an `async` function returns. */
const promised = (): never => Promise.resolve(true) as never

const handler: Listener.Handler<never, never> = promised

const endsOf = (events: ReadonlyArray<Events.Event>) =>
  events.flatMap((event) =>
    event._tag === "Closed" || event._tag === "HandshakeFailed" ? [`${event.role} ${event._tag} ${event.tag}`] : []
  )

describe("code that returns no effect", () => {
  it.live("a handler ends its own connection as a defect, and its socket is gone", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0", handler)
      const port = address?.transport._tag === "net" ? address.transport.port : 0
      const closed = Effect.callback<void>((resume) => {
        net
          .connect(port, "127.0.0.1")
          .on("error", () => {})
          .on("close", () => resume(Effect.void))
          .resume()
      })
      yield* Effect.all([closed, closed], { concurrency: "unbounded" })
      yield* until(() => endsOf(events).length === 2)
      assert.deepStrictEqual(endsOf(events), ["listen Closed Defect", "listen Closed Defect"])
    }).pipe(
      Effect.provide(Multiserver.layer(["net"]).pipe(Layer.provide(protocols()), Layer.provide(recorder(events))))
    )
  })

  it.live.each(["net:127.0.0.1:0~shs", "net:127.0.0.1:0~noise", "net:127.0.0.1:0~noisepq"])(
    "authorize refuses: %s",
    (target) => {
      const events: Array<Events.Event> = []
      return Effect.gen(function* () {
        const [address] = yield* served(target, echo)
        const error = yield* Effect.flip(Multiserver.dial(String(address)))
        assert.include(error.message, "we authenticated")
        yield* until(() => endsOf(events).length === 1)
        assert.deepStrictEqual(endsOf(events), ["listen HandshakeFailed NotAuthorized"])
        const [failed] = events.filter((event) => event._tag === "HandshakeFailed")
        assert.include(failed?.error.message, "authorize failed")
        assert.include(failed?.error.message, "authorize returned no Effect")
      }).pipe(Effect.provide(multiserver({ authorize: promised }).pipe(Layer.provide(recorder(events)))))
    }
  )

  it.live("a sink costs no other sink its events", () => {
    const events: Array<Events.Event> = []
    const hear: Events.Sink = (event) => Effect.sync(() => void events.push(event))
    return Effect.gen(function* () {
      const [address] = yield* served("memory:m", echo)
      yield* Effect.scoped(Multiserver.dial(String(address)))
      yield* until(() => endsOf(events).length === 2)
    }).pipe(
      Effect.provide(
        Multiserver.layer(["memory"]).pipe(Layer.provide(protocols()), Layer.provide(Events.layer(promised, hear)))
      )
    )
  })

  const odd = (part: "dial" | "accepted" | "outbound" | "inbound" | "pull" | "writeAll") => {
    const section = new Address.Opaque({ name: "odd", data: "" })
    let onAccepted: Transport.OnAccepted | undefined
    const transport = Transport.layer("odd", {
      section: Address.section("odd", Schema.String),
      reach: () => "device",
      dial: () => {
        if (part === "accepted") onAccepted?.(promised(), undefined)
        return part === "dial" ? promised() : Effect.fail(new Refused({}))
      },
      listen: (_, accept) =>
        Effect.sync(() => {
          onAccepted = accept
          return { section }
        })
    })
    const wrap = (link: Parameters<typeof Transform.fromConnection>[0]) =>
      part === "pull" || part === "writeAll"
        ? Transform.fromConnection(link, section, (connection) =>
            Effect.succeed({ ...connection, [part]: part === "pull" ? promised() : promised })
          )
        : Transform.fromCodec(link, () => Effect.succeed({ section }))
    const transform = Transform.layer("odd", {
      section: Address.section("odd", Schema.String),
      authenticates: false,
      outbound: (link) => (part === "outbound" ? promised() : wrap(link)),
      inbound: (link) => (part === "inbound" ? promised() : wrap(link))
    })
    return Layer.merge(transport, transform)
  }

  const speaking = (part: Parameters<typeof odd>[0], events: Array<Events.Event>) =>
    Multiserver.layer(["odd", "memory~odd"]).pipe(
      Layer.provide([odd(part), protocols()]),
      Layer.provide(recorder(events))
    )

  it.live("the dial of a transport is a defect of the dial", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Multiserver.dial("odd")))
      assert.include(String(Exit.isFailure(exit) && exit.cause), "the dial of the transport returned no Effect")
    }).pipe(Effect.provide(speaking("dial", [])))
  )

  it.live("what a transport hands over is told as a defect of the handshake", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      yield* Multiserver.listen("odd")
      yield* Effect.flip(Effect.scoped(Multiserver.dial("odd")))
      yield* until(() => endsOf(events).length === 1)
      assert.deepStrictEqual(endsOf(events), ["listen HandshakeFailed Defect"])
    }).pipe(Effect.provide(speaking("accepted", events)))
  })

  it.live.each(["outbound", "inbound", "pull", "writeAll"] as const)(
    "%s of a transform ends the connection",
    (part) => {
      const events: Array<Events.Event> = []
      return Effect.gen(function* () {
        const [address] = yield* served("memory:m~odd", echo)
        const exit = yield* Effect.exit(
          Effect.scoped(
            Effect.gen(function* () {
              const connection = yield* Multiserver.dial(String(address))
              yield* connection.write(new Uint8Array(1))
              return yield* connection.closed
            })
          )
        )
        const failed = Exit.isFailure(exit) || exit.value.tag === "Defect" || exit.value.tag === "Reset"
        assert.isTrue(failed, JSON.stringify(exit))
        yield* until(() => events.some((event) => "tag" in event && event.tag === "Defect") || part === "outbound")
      }).pipe(Effect.provide(speaking(part, events)))
    }
  )
})
