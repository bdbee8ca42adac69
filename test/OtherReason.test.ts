/** A third party's protocol fails with a reason of its own, which its users find again in each kind of error. */
import { assert, describe, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import { Other } from "../src/DialError.ts"
import type * as Events from "../src/Events.ts"
import { HandshakeError } from "../src/HandshakeError.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import * as Transform from "../src/Transform.ts"
import * as Transport from "../src/Transport.ts"
import { recorder, served, until } from "./support/servers.ts"

class QuotaExceeded extends Data.TaggedError("QuotaExceeded")<{ readonly left: number }> {}

const other = new Other({
  code: "QuotaExceeded",
  detail: "no more connections today",
  isRetryable: true,
  cause: new QuotaExceeded({ left: 0 })
})

const metered = Layer.succeed(
  Transport.Transport("metered"),
  Transport.make({
    section: Address.section("metered", Schema.String),
    reach: () => "device",
    dial: () => Effect.fail(other),
    listen: () => Effect.fail(other)
  })
)

/** Lets nobody in, on the listener's side. */
const toll = Layer.succeed(
  Transform.Transform("toll"),
  Transform.make({
    section: Address.section("toll", Schema.String),
    authenticates: false,
    outbound: Effect.succeed,
    inbound: () => Effect.fail(new HandshakeError({ protocol: "toll", phase: "coin", reason: other })),
    advertise: (data) => new Address.Opaque({ name: "toll", data: data === "" ? "" : `:${data}` })
  })
)

const live = Multiserver.layer(["metered"]).pipe(Layer.provide(metered))

describe("a reason of a third party's own", () => {
  it.effect("is that of the dial, says whether a retry helps, and has the author's error as its cause", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Multiserver.dial("metered:a"))
      assert.strictEqual(error._tag, "DialError")
      if (error._tag !== "DialError" || error.reason._tag !== "Other") return assert.fail(error.message)
      assert.strictEqual(error.reason.code, "QuotaExceeded")
      assert.instanceOf(error.reason.cause, QuotaExceeded)
      assert.include(error.message, "no more connections today (QuotaExceeded)")
      assert.isTrue(Multiserver.isRetryable(error))
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.effect("is that of a listen", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Multiserver.listen("metered:a"))
      assert.isTrue(error._tag === "ListenError" && error.reason === other)
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.live("is that of a handshake, which its event says", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      yield* served("memory:m~toll", () => Effect.void)
      yield* Effect.forkScoped(Effect.ignore(Multiserver.dial("memory:m~toll")))
      const failed = () => events.find((event) => event._tag === "HandshakeFailed")
      yield* until(() => failed() !== undefined)
      assert.isTrue(failed()?.tag === "Other" && failed()?.error.reason === other)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Multiserver.layer(["memory~toll"]).pipe(Layer.provide([Memory.layer(), toll]), Layer.provide(recorder(events)))
      )
    )
  })
})
