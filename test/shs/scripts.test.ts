/** The transform against scripted peers: exact bytes in, exact bytes out, or one typed failure. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../../src/Address.ts"
import * as AppKey from "../../src/AppKey.ts"
import { Primitives } from "../../src/crypto/Primitives.ts"
import type { HandshakeError } from "../../src/HandshakeError.ts"
import { Identity, PublicKey } from "../../src/Identity.ts"
import * as Link from "../../src/Link.ts"
import { memoryPair } from "../../src/memory/memoryPort.ts"
import { Anonymous } from "../../src/Peer.ts"
import * as Shs from "../../src/shs/Shs.ts"
import { libraries } from "../support/primitives.ts"
import { concat, hex, scripts } from "../support/vectors.ts"

describe.each(libraries)("on $library:", ({ primitives }) => {
  type Script = (typeof scripts)[number]

  /** The primitives with the vector's ephemeral pair in the place of a random one. */
  const fixed = ({ local }: Script) =>
    Layer.succeed(Primitives, {
      ...primitives,
      x25519KeyPair: () => ({ publicKey: local.ephemeral_pk.slice(), secretKey: local.ephemeral_sk.slice() })
    })

  const identity = ({ local }: Script) =>
    Layer.succeed(Identity, {
      publicKey: PublicKey.make(local.longterm_pk),
      secretKey: Redacted.make(local.longterm_sk)
    })

  const authorize = (script: Script, called: Array<string>) => ({
    authorize: ({ publicKey }: Shs.Applicant) =>
      Effect.suspend(() => {
        called.push(hex(publicKey))
        return script.authorize === "error" ? Effect.fail("no answer") : Effect.succeed(script.authorize === "allow")
      })
  })

  const below = { reach: "device", trusted: true } as const
  const at = new Address.Address({ transport: new Address.Memory({ name: "script" }), transforms: [] })

  /** A turn of the event loop, in which microtasks and what hangs on them run. */
  const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

  const run = (script: Script) =>
    Effect.gen(function* () {
      const called: Array<string> = []
      const [near, far] = memoryPair()
      const sent: Array<Uint8Array> = []
      const collect = () => {
        for (let chunks = far.take(); chunks !== undefined; chunks = far.take()) sent.push(...chunks)
      }
      far.listen({ readable: collect, drained: () => {} })
      const shape = yield* Shs.make(authorize(script, called)).pipe(
        Effect.provideService(AppKey.AppKey, Redacted.make(script.app_key))
      )
      const link = yield* Link.make(near, { remote: at, peer: new Anonymous() })
      const publicKey = PublicKey.make(script.server_longterm_pk ?? new Uint8Array(32))
      const section = script.role === "client" ? new Address.Shs({ publicKey }) : new Address.Shs({})
      const wrap = Result.getOrThrow(
        script.role === "client" ? shape.outbound(section, below, []) : shape.inbound(section, below, [])
      )
      const fiber = yield* Effect.forkChild(Effect.result(wrap(link)).pipe(Effect.timeoutOption("10 seconds")), {
        startImmediately: true
      })
      for (const chunk of script.incoming) {
        yield* turn
        far.offer(chunk)
      }
      yield* turn
      if (script.then === "eof") far.end()
      yield* turn
      yield* TestClock.adjust("10 seconds")
      const outcome = yield* Fiber.join(fiber)
      yield* turn
      return { outcome, sent: concat(sent), called }
    }).pipe(Effect.scoped, Effect.provide([fixed(script), identity(script)]))

  const reasonOf = (outcome: Option.Option<Result.Result<unknown, HandshakeError>>): string =>
    Option.match(outcome, {
      onNone: () => "deadline",
      onSome: (result) => (Result.isFailure(result) ? result.failure.reason._tag : "accepted")
    })

  describe("shs against scripted peers", () => {
    it.effect.each(scripts)("$id: $comment", (script) =>
      Effect.gen(function* () {
        const { called, outcome, sent } = yield* run(script)
        assert.strictEqual(hex(sent), hex(script.expect.sent))
        if (script.expect.result === "accept") {
          assert.strictEqual(reasonOf(outcome), "accepted")
        } else {
          assert.notStrictEqual(reasonOf(outcome), "accepted")
          if (script.then === "eof") assert.notStrictEqual(reasonOf(outcome), "deadline")
        }
        if (script.role === "server") {
          const expected = script.expect.authorize_called_with ?? undefined
          assert.deepStrictEqual(called, expected === undefined ? [] : [hex(expected)])
        }
      })
    )
  })
})
