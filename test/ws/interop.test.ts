/** Bytes between npm multiserver 3.8.2, a plain `ws`, and us: each in a process of its own, each dialing the other. */
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import { format } from "../../src/Address.ts"
import * as AppKey from "../../src/AppKey.ts"
import type { Connection } from "../../src/Connection.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import type * as Listener from "../../src/Listener.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { appKeyBytes, exchange, exchangeInTurn, identity, replyWhole, sizes, total } from "../interop/setup.ts"
import * as ChildPeer from "../support/childPeer.ts"
import { echo, expectEvent, pattern, sameBytes, served } from "../support/servers.ts"
import { base64 } from "../support/vectors.ts"
import { multiserver } from "./support.ts"

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))
const secure = {
  credentials: { key: fixture("server.key"), cert: fixture("server.crt") },
  ca: fixture("ca.crt")
}

interface Body {
  readonly bytes: number
  readonly seed: number
  /** In how many writes. */
  readonly pieces: number
}

/** Peers in processes of their own. */
const peers = {
  multiserver: ChildPeer.share(new URL("./peers/multiserver.mjs", import.meta.url)),
  plain: ChildPeer.share(new URL("./peers/plain.mjs", import.meta.url))
}
const peer = (name: keyof typeof peers) =>
  Effect.map(peers[name], ({ next, tell }) => {
    const common = { seed: identity(103).seed, appKey: base64(appKeyBytes) }
    return {
      next,
      serve: (stack: string, reply: "whole" | "stream") =>
        tell({ serve: { stack, reply, ...common } }).pipe(
          Effect.andThen(next("listening")),
          Effect.map(({ address }) => address)
        ),
      dial: (address: string, body: Body, untilAnswered = false) =>
        tell({ dial: { address, body, untilAnswered, ...common } })
    }
  })

/** Ours, in the same network, with its events in order. */
const ours = Effect.gen(function* () {
  const events = yield* Queue.unbounded<Events.Event>()
  const emit: Events.Sink = (event) => Effect.asVoid(Queue.offer(events, event))
  const layer = multiserver(secure, { authorize: () => Effect.succeed(true) }).pipe(
    Layer.provide(AppKey.layer(Redacted.make(appKeyBytes)))
  )
  const context = yield* Layer.build(layer.pipe(Layer.provide(Events.layer(emit))))
  return {
    publicKey: Identity.formatPublicKey(Context.get(context, Identity.Identity).publicKey),
    dial: Context.get(context, Multiserver.Multiserver).dial,
    serve: <E, R>(stack: string, handler: Listener.Handler<E, R>) =>
      served(stack.replace(/^wss?/, "$&://127.0.0.1:0"), handler).pipe(
        Effect.provide(context),
        Effect.flatMap(([address]) => Effect.fromNullishOr(address)),
        Effect.map(format)
      ),
    /** The next connection's end. */
    closed: Effect.andThen(expectEvent(events, "Connected"), expectEvent(events, "Closed"))
  }
})

const largest = Math.max(...sizes)

describe.each(["ws~shs", "wss~shs"])("%s", (stack) => {
  it.live("dials it, ends at once, and gets back every byte and a clean end", () =>
    Effect.gen(function* () {
      const { next, serve } = yield* peer("multiserver")
      const us = yield* ours
      const check = (address: string, size: number, talk: typeof exchange) =>
        Effect.gen(function* () {
          const body = pattern(size, size + 1)
          const connection = yield* us.dial(address)
          assert.strictEqual(format(connection.remote), address)
          assert.isTrue(sameBytes(yield* talk(connection, body), body), `the echo of ${size} bytes`)
          const { error, received, remote } = yield* next("exchanged")
          assert.deepStrictEqual({ error, received }, { error: null, received: total(body) })
          assert.strictEqual(remote, us.publicKey)
        }).pipe(
          Effect.scoped,
          Effect.andThen(us.closed),
          Effect.map(({ bytesRead, bytesWritten, tag }) =>
            assert.deepStrictEqual([tag, bytesRead, bytesWritten], ["end", size, size])
          )
        )
      const whole = yield* serve(stack, "whole")
      for (const size of sizes) yield* check(whole, size, exchangeInTurn(next("answering")))
      yield* check(yield* serve(stack, "stream"), largest, exchange)
    })
  )

  it.live("is dialed by it, hears its end at once, and loses no byte of what it still owes", () =>
    Effect.gen(function* () {
      const { dial, next } = yield* peer("multiserver")
      const us = yield* ours
      const check = (address: string, bytes: number) =>
        Effect.gen(function* () {
          yield* dial(address, { bytes, seed: bytes + 1, pieces: 50 })
          const { error, received, remote, sent } = yield* next("exchanged")
          assert.strictEqual(sent.bytes, bytes)
          assert.deepStrictEqual({ error, received }, { error: null, received: sent })
          assert.strictEqual(remote, us.publicKey)
          const { bytesRead, bytesWritten, tag } = yield* us.closed
          assert.deepStrictEqual([tag, bytesRead, bytesWritten], ["end", bytes, bytes])
        })
      const whole = yield* us.serve(stack, replyWhole)
      for (const size of sizes) yield* check(whole, size)
      yield* check(yield* us.serve(stack, echo), largest)
    })
  )
})

/** Writes the body, reads it back, and only then ends: there is no half close. */
const echoed = (connection: Connection, body: Uint8Array) =>
  Effect.gen(function* () {
    yield* Effect.forkChild(connection.write(body))
    const chunks: Array<Uint8Array> = []
    for (let bytes = 0; bytes < body.length; ) {
      for (const chunk of yield* connection.pull) {
        chunks.push(chunk)
        bytes += chunk.length
      }
    }
    yield* connection.end
    return Buffer.concat(chunks)
  })

describe.each([
  ["ws~noauth", "multiserver"],
  ["ws", "multiserver"],
  ["ws", "plain"]
] as const)("%s with %s", (stack, other) => {
  it.live("dials it, sends as much as 1 MiB in a single write, and gets it back", () =>
    Effect.gen(function* () {
      const { next, serve } = yield* peer(other)
      const us = yield* ours
      const address = yield* serve(stack, "stream")
      for (const size of [1, 65_536, 1 << 20]) {
        const body = pattern(size, size)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* us.dial(address)
            assert.isTrue(sameBytes(yield* echoed(connection, body), body))
            const { error, received } = yield* next("exchanged")
            assert.deepStrictEqual({ error, received }, { error: null, received: total(body) })
          })
        )
        assert.strictEqual((yield* us.closed).bytesRead, size)
      }
    })
  )

  it.live("is dialed by it, and echoes as much as 1 MiB in a single message", () =>
    Effect.gen(function* () {
      const { dial, next } = yield* peer(other)
      const us = yield* ours
      const address = yield* us.serve(stack, echo)
      for (const bytes of [1, 65_536, 1 << 20]) {
        yield* dial(address, { bytes, seed: bytes, pieces: 1 }, true)
        const { error, received, sent } = yield* next("exchanged")
        assert.strictEqual(sent.bytes, bytes)
        assert.deepStrictEqual({ error, received }, { error: null, received: sent })
        const { bytesRead, bytesWritten, tag } = yield* us.closed
        assert.deepStrictEqual([tag, bytesRead, bytesWritten], ["end", bytes, bytes])
      }
    })
  )
})
