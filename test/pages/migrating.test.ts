/** docs/migrating.md: its program, with npm multiserver in the other process. */
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import pull from "pull-stream"
import * as Migrating from "../../examples/migrating.ts"
import * as AppKey from "../../src/AppKey.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import { appKeyBytes, identity, sharedTheirs, total } from "../interop/setup.ts"
import { pattern, turns } from "../support/servers.ts"

const theirs = sharedTheirs()

const live = Migrating.Live(
  new Map([[identity(103).publicKey, "npm"]]),
  Identity.layerEphemeral.pipe(Layer.provide(Sodium.layer))
).pipe(Layer.provide(AppKey.layer(Redacted.make(appKeyBytes))))

const body = { bytes: 100_000, seed: 3 }

describe("docs/migrating.md", () => {
  it.live("a pull-stream server knows its friend by the value of authorize, and refuses others", () => {
    const said: Array<string> = []
    const console_: Console.Console = Object.assign(Object.create(console), {
      log: (text: string) => void said.push(text)
    })
    return Effect.gen(function* () {
      const [address = ""] = (yield* Migrating.server).split(";")
      const peer = yield* theirs
      yield* peer.dial(address, { body })
      const { error, received, sent } = yield* peer.next("exchanged")
      assert.deepStrictEqual([received, error], [sent, null])
      assert.match(said.join("\n"), /^npm is here, from net:127\.0\.0\.1:\d+~shs:\S+$/)

      yield* peer.dial(address, { body, seed: identity(104).seed })
      yield* peer.next("failed")
      assert.strictEqual(said.length, 1)
    }).pipe(Effect.provideService(Console.Console, console_), Effect.provide(live))
  })

  it.live("a client with callbacks gets its stream, or one error, and aborts", () =>
    Effect.gen(function* () {
      const { client } = yield* Effect.acquireRelease(
        Effect.sync(() => Migrating.callbacks(live)),
        ({ close }) => Effect.promise(close)
      )
      const peer = yield* theirs
      const address = yield* peer.serve()

      const sent = pattern(100_000)
      const received = yield* Effect.callback<Uint8Array, unknown>((resume) => {
        client(address, (error, stream) => {
          if (stream === undefined) return resume(Effect.fail(error))
          pull(pull.values([sent]), stream.sink)
          pull(
            stream.source,
            pull.collect((error, chunks: Array<Uint8Array>) =>
              resume(error ? Effect.fail(error) : Effect.succeed(Buffer.concat(chunks)))
            )
          )
        })
      })
      assert.deepStrictEqual(total(received), total(sent))
      assert.isNull((yield* peer.next("exchanged")).error)

      const failures: Array<unknown> = []
      yield* Effect.callback<void>((resume) => {
        client("net:127.0.0.1:1~shs", (error) => {
          failures.push(error)
          resume(Effect.void)
        })
      })
      assert.strictEqual(failures.length, 1)

      let calls = 0
      client(address, () => void calls++)()
      yield* turns
      assert.strictEqual(calls, 0)

      const ended = yield* Effect.callback<unknown>((resume) => {
        const abort = client(address, (_, stream) => {
          calls++
          stream?.source(null, (end) => resume(Effect.succeed(end)))
          abort()
        })
      })
      assert.instanceOf(ended, Error)
      assert.isNotNull((yield* peer.next("exchanged")).error)
      assert.strictEqual(calls, 1)
    })
  )
})
