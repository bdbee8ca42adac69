/**
 * Streams that hand on the very memory that was written into them, as those of web pages and pairs within a process do.
 * Whoever carries such memory may keep it: nothing is changed in it when it was written, nor when it is read.
 */
import { Duplex, PassThrough } from "node:stream"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Address from "../../src/Address.ts"
import { fromDuplex } from "../../src/bridge/Duplex.ts"
import { fromSocket } from "../../src/bridge/MultiserverSocket.ts"
import { fromWebStreams } from "../../src/bridge/WebStream.ts"
import { Refused } from "../../src/DialError.ts"
import type * as Link from "../../src/Link.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Transport from "../../src/Transport.ts"
import { echo, pattern, protocols, readAll, sameBytes, served } from "../support/servers.ts"

const section = new Address.Opaque({ name: "kept", data: "" })
const remote = new Address.Address({ transport: section, transforms: [] })

/** What was carried, as it was then, and as it is now. */
type Kept = Array<readonly [then: Buffer, now: Uint8Array]>

/** Carries chunks as they are, and keeps them. */
const line = (kept: Kept) =>
  new PassThrough({
    highWaterMark: 1024 * 1024,
    transform: (chunk: Uint8Array, _, callback) => {
      kept.push([Buffer.from(chunk), chunk])
      callback(null, chunk)
    }
  })

interface End {
  readonly from: PassThrough
  readonly to: PassThrough
}

const web = ({ from, to }: End) => {
  let gone = false
  return {
    readable: new ReadableStream<Uint8Array>({
      start: (controller) => {
        from.on("data", (chunk: Uint8Array) => gone || controller.enqueue(chunk))
        from.on("end", () => gone || controller.close())
        from.on("error", () => {})
      },
      cancel: () => {
        gone = true
        from.destroy()
      }
    }),
    writable: new WritableStream<Uint8Array>({
      write: (chunk) => void to.write(chunk),
      close: () => void to.end(),
      abort: () => void to.destroy()
    })
  }
}

type Make = (end: End) => Effect.Effect<Link.Link, Refused, Scope.Scope>

const views: ReadonlyArray<readonly [string, Make]> = [
  [
    "a Duplex",
    ({ from, to }) => Effect.suspend(() => fromDuplex(Duplex.from({ readable: from, writable: to }), { remote }))
  ],
  ["web streams", (end) => Effect.suspend(() => fromWebStreams(web(end), { remote }))],
  [
    "a Socket",
    (end) =>
      Effect.flatMap(Socket.fromTransformStream(Effect.sync(() => web(end))), (socket) =>
        Effect.mapError(fromSocket(socket, { remote, halfClose: true }), (cause) => new Refused({ cause }))
      )
  ]
]

const transport = (make: Make, kept: Kept) => {
  let onAccepted: Transport.OnAccepted | undefined
  return Transport.layer("kept", {
    section: Address.section("kept", Schema.String),
    reach: () => "device",
    dial: () =>
      Effect.suspend(() => {
        const [there, back] = [line(kept), line(kept)]
        onAccepted?.(Effect.orDie(make({ from: there, to: back })), undefined)
        return make({ from: back, to: there })
      }),
    listen: (_, accept) =>
      Effect.sync(() => {
        onAccepted = accept
        return { section }
      })
  })
}

describe.each(views)("memory that is carried by %s", (_, make) => {
  it.live.each(["kept", "kept~shs", "kept~noise"])(
    "is not changed when it was written, nor when it is read: %s",
    (stack) => {
      const kept: Kept = []
      return Effect.gen(function* () {
        const [address] = yield* served(stack, echo)
        const connection = yield* Multiserver.dial(address as Address.Address)
        const chunk = pattern(170)
        const whole = Buffer.alloc(170 * 200, chunk)
        yield* Effect.forkChild(
          Effect.andThen(
            Effect.replicateEffect(Effect.andThen(connection.write(chunk), Effect.yieldNow), 200, { discard: true }),
            connection.end
          )
        )
        assert.isTrue(sameBytes(yield* readAll(connection), whole))
        assert.isNotEmpty(kept)
        for (const [then, now] of kept) assert.isTrue(then.equals(now))
      }).pipe(
        Effect.provide(
          Multiserver.layer(["kept", "kept~shs", "kept~noise"]).pipe(
            Layer.provide(transport(make, kept)),
            Layer.provideMerge(protocols())
          )
        )
      )
    }
  )
})
