/**
 * What breaks the protocol below while a handshake goes on is its reason, on both sides and in each phase: dialing
 * again won't help.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { WebSocket } from "ws"
import * as Address from "../../src/Address.ts"
import * as Events from "../../src/Events.ts"
import type { HandshakeError } from "../../src/HandshakeError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { echo, protocols, served } from "../support/servers.ts"
import * as Tamper from "../support/tamper.ts"
import { type Plain, portOf, serve } from "./plain.ts"
import { multiserver } from "./support.ts"

/** What is sent instead of a handshake's message. */
const violations = [
  ["text", "text", "a text message"],
  ["a message of more than 128 KiB", new Uint8Array(128 * 1024 + 1), "Max payload size exceeded"]
] as const

/** Whom it is sent to, instead of which of the other's messages, and in which phase it hears of it. */
const phases = [
  { to: "listener", instead: 0, phase: "hello" },
  { to: "listener", instead: 1, phase: "auth" },
  { to: "dialer", instead: 0, phase: "challenge" },
  { to: "dialer", instead: 1, phase: "accept" }
] as const

/** Passes one's messages to the other, and the violation instead of one of them. */
const pass = (from: Plain, to: WebSocket, instead: number | undefined, violation: string | Uint8Array) =>
  Effect.gen(function* () {
    for (let i = 0; ; i++) {
      const message = yield* Queue.take(from.messages)
      to.send(i === instead ? violation : message)
    }
  })

/** A plain WebSocket that opens to somebody, and keeps what it hears. */
const opened = (url: string): Effect.Effect<Plain, never, Scope.Scope> =>
  Effect.gen(function* () {
    const messages = yield* Queue.unbounded<Buffer>()
    const ws = yield* Effect.acquireRelease(
      Effect.callback<WebSocket>((resume) => {
        const ws = new WebSocket(url)
        ws.on("message", (data) => Buffer.isBuffer(data) && Queue.offerUnsafe(messages, data))
        ws.on("error", () => {})
        ws.once("open", () => resume(Effect.succeed(ws)))
      }),
      (ws) => Effect.sync(() => ws.terminate())
    )
    return { ws, messages, closed: Effect.never }
  })

/** Hears of the handshakes that failed at a listener. */
const failures = Effect.map(Queue.unbounded<HandshakeError>(), (failed) => ({
  failed,
  layer: Events.layer((event) =>
    event._tag === "HandshakeFailed" ? Effect.asVoid(Queue.offer(failed, event.error)) : Effect.void
  )
}))

/** How a dial fails in its handshake. */
const dialFailure = (address: Address.Address) =>
  Multiserver.dial(address).pipe(
    Effect.scoped,
    Effect.flip,
    Effect.flatMap((error) =>
      error._tag === "DialError" && error.reason._tag === "HandshakeError"
        ? Effect.succeed(error.reason)
        : Effect.die(error)
    )
  )

const assertMisbehaved = (error: HandshakeError, protocol: string, phase: string, detail: string) => {
  const { reason } = error
  assert.strictEqual(reason._tag, "PeerMisbehaved")
  assert.deepStrictEqual([error.protocol, error.phase], [protocol, phase])
  if (reason._tag === "PeerMisbehaved") assert.strictEqual(reason.detail, detail)
  assert.isFalse(error.isRetryable)
}

describe.each(["shs", "noise"])("during the handshake of %s", (protocol) => {
  for (const { instead, phase, to } of phases) {
    for (const [name, violation, detail] of violations) {
      it.live(`${name} makes the peer one that misbehaved, to the ${to} at ${phase}`, () =>
        Effect.flatMap(failures, ({ failed, layer }) =>
          Effect.gen(function* () {
            const [address] = yield* served(`ws://127.0.0.1:0~${protocol}`, echo)
            const middle = yield* serve()
            const own = address as Address.Address
            const port = Number(new URL(middle.address).port)
            const transport = new Address.Ws({ host: "127.0.0.1", port, path: "/" })
            const dialing = yield* Effect.forkScoped(
              dialFailure(new Address.Address({ transport, transforms: own.transforms }))
            )
            const dialer = yield* Queue.take(middle.clients)
            const listener = yield* opened(`ws://127.0.0.1:${portOf(own)}`)
            const toListener = to === "listener" ? instead : undefined
            const toDialer = to === "dialer" ? instead : undefined
            yield* Effect.forkScoped(pass(dialer, listener.ws, toListener, violation))
            yield* Effect.forkScoped(pass(listener, dialer.ws, toDialer, violation))
            const error = yield* to === "listener" ? Queue.take(failed) : Fiber.join(dialing)
            assertMisbehaved(error, protocol, phase, detail)
          }).pipe(Effect.provide(multiserver().pipe(Layer.provide(layer))))
        )
      )
    }
  }
})

describe("during the handshake of shs over noise", () => {
  /** Bytes of noise's own handshake, and of the frame around shs's first message. */
  const before = { listener: 48 + 128, dialer: 48 + 35 }
  const frame = 18 + 64 + 16

  for (const { instead, phase, to } of phases) {
    it.live(`what was tampered with makes the peer one that misbehaved, to the ${to} at ${phase}`, () => {
      const at = before[to] + instead * frame + 40
      const attack: Tamper.Attack = { [to === "listener" ? "toServer" : "toClient"]: { at, what: "flip" } }
      return Effect.flatMap(failures, ({ failed, layer }) =>
        Effect.gen(function* () {
          const [address] = yield* served("tamper:x~noise~shs", echo)
          const dialing = yield* Effect.forkScoped(dialFailure(address as Address.Address))
          const error = yield* to === "listener" ? Queue.take(failed) : Fiber.join(dialing)
          assertMisbehaved(error, "shs", phase, "what arrived was not sealed by the peer: it was changed on the way")
        }).pipe(
          Effect.provide(
            Multiserver.layer(["tamper~noise~shs"]).pipe(
              Layer.provide([Tamper.layer({ current: attack }), protocols(), layer])
            )
          )
        )
      )
    })
  }
})
