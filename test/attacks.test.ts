/** Somebody between two of ours: every byte of the handshake flipped and cut, and what happens after it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type { ConnectionError } from "../src/ConnectionError.ts"
import * as NodeKem from "../src/crypto/NodeKem.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import type * as Events from "../src/Events.ts"
import * as Identity from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Noise from "../src/noise/Noise.ts"
import * as NoisePq from "../src/noisepq/NoisePq.ts"
import * as Shs from "../src/shs/Shs.ts"
import { echo, pattern, readAll, recorder, sameBytes, served } from "./support/servers.ts"
import * as Tamper from "./support/tamper.ts"

/**
 * How long the messages are, what surrounds a frame's body, and at which bytes something happens: at every `step`th,
 * and at the first and the last of each message. Every byte of noisepq's long messages is changed without the stack
 * around it, in test/noisepq/NoisePq.test.ts.
 */
const protocols = {
  shs: { hello: 64, challenge: 64, auth: 112, accept: 80, frame: 34, end: 34, step: 1 },
  noise: { hello: 48, challenge: 48, auth: 128, accept: 35, frame: 18 + 16, end: 18, step: 1 },
  noisepq: { hello: 1248, challenge: 1152, auth: 128, accept: 35, frame: 18 + 16, end: 18, step: 97 }
} as const
const names = ["shs", "noise", "noisepq"] as const

const setup = (name: (typeof names)[number]) =>
  Effect.gen(function* () {
    const attacks: { current: Tamper.Attack } = { current: {} }
    const events: Array<Events.Event> = []
    const context = yield* Layer.build(
      Multiserver.layer(["tamper~shs", "tamper~noise", "tamper~noisepq"]).pipe(
        Layer.provide([Tamper.layer(attacks), Shs.layer(), Noise.layer(), NoisePq.layer()]),
        Layer.provide([Identity.layerEphemeral, recorder(events)]),
        Layer.provide([Sodium.layer, NodeKem.layer])
      )
    )
    const [address] = yield* Effect.provide(served(`tamper:x~${name}`, echo), context)
    const exchange = (attack: Tamper.Attack, bytes = pattern(10)) =>
      Effect.gen(function* () {
        attacks.current = attack
        events.length = 0
        const outcome = yield* Effect.gen(function* () {
          const connection = yield* Multiserver.dial(address as NonNullable<typeof address>)
          yield* connection.write(bytes)
          yield* connection.end
          return yield* readAll(connection)
        }).pipe(Effect.scoped, Effect.provide(context), Effect.result)
        // The server's side of it may end a little later.
        yield* Effect.sleep(0).pipe(
          Effect.repeat({
            until: () =>
              events.some((event) => "role" in event && event.role === "listen" && event._tag !== "Connected")
          })
        )
        const server = events.filter(
          (event) => "role" in event && event.role === "listen" && event._tag !== "Connected"
        )
        return {
          outcome,
          server: server.map((event) => ("tag" in event ? `${event._tag}:${event.tag}` : event._tag))
        }
      })
    return exchange
  })

type Exchange = Effect.Success<ReturnType<typeof setup>>
type Outcome = Effect.Success<ReturnType<Exchange>>

/** The client's reason, as `protocol reason` or, for handshakes, with what it followed. */
const clientReason = ({ outcome }: Outcome): string => {
  if (Result.isSuccess(outcome)) return "ok"
  const error = outcome.failure
  if (error._tag !== "DialError") return error._tag === "ConnectionError" ? connectionReason(error) : error._tag
  const reason = error.reason
  if (reason._tag !== "HandshakeError") return reason._tag
  return reason.reason._tag === "Rejected" ? `Rejected(${reason.reason.after})` : reason.reason._tag
}
const connectionReason = (error: ConnectionError) => `connection ${error.reason._tag}`

const honest = (exchange: Exchange) =>
  Effect.gen(function* () {
    const bytes = pattern(100_000)
    const { outcome, server } = yield* exchange({}, bytes)
    assert.isTrue(Result.isSuccess(outcome) && sameBytes(outcome.success, bytes))
    assert.deepStrictEqual(server, ["Closed:end"])
  })

describe.each(names)("%s with somebody in the middle", (name) => {
  const { accept, auth, challenge, end, frame, hello, step } = protocols[name]
  const clientBytes = hello + auth
  const serverBytes = challenge + accept
  const bytesOf = (...lengths: ReadonlyArray<number>) => {
    const ends = lengths.map((_, i) => lengths.slice(0, i + 1).reduce((sum, length) => sum + length))
    const borders = ends.flatMap((end) => [end - 1, end])
    const all = Array.from({ length: ends.at(-1) ?? 0 }, (_, at) => at)
    return all.filter((at) => at % step === 0 || borders.includes(at))
  }
  const [ofClient, ofServer, ofStream] = [bytesOf(hello, auth), bytesOf(challenge, accept), bytesOf(frame, 10, end)]

  it.live("answers a flip in each byte of the client's messages with one typed error on each side", () =>
    Effect.gen(function* () {
      const exchange = yield* setup(name)
      for (const at of ofClient) {
        const outcome = yield* exchange({ toServer: { at, what: "flip" } })
        assert.strictEqual(clientReason(outcome), at < hello ? "Rejected(hello)" : "Rejected(auth)", `byte ${at}`)
        const tag = at < hello ? "WrongNetwork" : "PeerMisbehaved"
        assert.deepStrictEqual(outcome.server, [`HandshakeFailed:${tag}`], `byte ${at}`)
      }
      yield* honest(exchange)
    })
  )

  it.live("answers a flip in each byte of the server's messages with one typed error on each side", () =>
    Effect.gen(function* () {
      const exchange = yield* setup(name)
      for (const at of ofServer) {
        const outcome = yield* exchange({ toClient: { at, what: "flip" } })
        assert.strictEqual(clientReason(outcome), at < challenge ? "WrongNetwork" : "PeerMisbehaved", `byte ${at}`)
        // With its accept sent, the server is done: that the client vanished shows on the connection.
        const tag = at < challenge ? "HandshakeFailed:Rejected" : "Closed:Reset"
        assert.deepStrictEqual(outcome.server, [tag], `byte ${at}`)
      }
      yield* honest(exchange)
    })
  )

  for (const what of ["end", "reset"] as const) {
    it.live(`answers the stream's ${what} at each byte of the client's messages with one typed error`, () =>
      Effect.gen(function* () {
        const exchange = yield* setup(name)
        for (const at of ofClient) {
          const outcome = yield* exchange({ toServer: { at, what } })
          assert.deepStrictEqual(outcome.server, ["HandshakeFailed:Rejected"], `byte ${at}`)
          // An end right behind the hello closes the connection before the client can authenticate.
          const authenticated = at > hello || (at === hello && what === "reset")
          assert.strictEqual(clientReason(outcome), authenticated ? "Rejected(auth)" : "Rejected(hello)", `byte ${at}`)
        }
        yield* honest(exchange)
      })
    )

    it.live(`answers the stream's ${what} at each byte of the server's messages with one typed error`, () =>
      Effect.gen(function* () {
        const exchange = yield* setup(name)
        for (const at of ofServer) {
          const outcome = yield* exchange({ toClient: { at, what } })
          assert.strictEqual(clientReason(outcome), at < challenge ? "Rejected(hello)" : "Rejected(auth)", `byte ${at}`)
          assert.strictEqual(outcome.server.length, 1, `byte ${at}`)
        }
        yield* honest(exchange)
      })
    )
  }

  it.live("answers a flip after the handshake with Tampered, and gives nothing of it to the reader", () =>
    Effect.gen(function* () {
      const exchange = yield* setup(name)
      for (const at of ofStream) {
        const toServer = yield* exchange({ toServer: { at: clientBytes + at, what: "flip" } })
        assert.deepStrictEqual(toServer.server, ["Closed:Tampered"], `byte ${at}`)
        const toClient = yield* exchange({ toClient: { at: serverBytes + at, what: "flip" } })
        assert.strictEqual(clientReason(toClient), "connection Tampered", `byte ${at}`)
      }
      yield* honest(exchange)
    })
  )

  it.live("answers an end anywhere but after the goodbye with Truncated", () =>
    Effect.gen(function* () {
      const exchange = yield* setup(name)
      for (const at of ofStream) {
        const toServer = yield* exchange({ toServer: { at: clientBytes + at, what: "end" } })
        assert.deepStrictEqual(toServer.server, ["Closed:Truncated"], `byte ${at}`)
        const toClient = yield* exchange({ toClient: { at: serverBytes + at, what: "end" } })
        assert.strictEqual(clientReason(toClient), "connection Truncated", `byte ${at}`)
      }
      yield* honest(exchange)
    })
  )
})
