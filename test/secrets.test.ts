/**
 * A seed is a private key, and a token as good as one: no error, event, span or log of a dial with it may hold any of
 * it.
 */
import * as net from "node:net"
import * as util from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import type * as Address from "../src/Address.ts"
import * as AppKey from "../src/AppKey.ts"
import { DialError } from "../src/DialError.ts"
import type * as Events from "../src/Events.ts"
import { formatPublicKey, Identity, PublicKey } from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import type * as Shs from "../src/shs/Shs.ts"
import { primitives } from "./support/primitives.ts"
import { echo, multiserver, pattern, recorder, served } from "./support/servers.ts"
import { base64, hex } from "./support/vectors.ts"

const seed = pattern(32, 99)
const pair = primitives.ed25519KeyPair(seed)
const somebody = formatPublicKey(PublicKey.make(primitives.ed25519KeyPair(pattern(32, 5)).publicKey))

/** The forms in which bytes get out. */
const forms = (secret: Uint8Array) => [
  base64(secret),
  base64(secret).replace(/=+$/, ""),
  base64(secret).replaceAll("+", "-").replaceAll("/", "_"),
  hex(secret),
  [...secret].join(","),
  [...secret].join(", "),
  Buffer.from(secret).toString("latin1")
]
const secrets = [seed, pair.secretKey, primitives.x25519FromSecretKey(pair.secretKey)]

const assertNoSecret = (text: string, what: string) => {
  for (const secret of secrets) {
    for (const form of forms(secret)) assert.isFalse(text.includes(form), `${what} holds a secret`)
  }
}

const show = (value: unknown): string =>
  [
    String(value),
    JSON.stringify(value),
    util.inspect(value, { depth: 20, showHidden: true }),
    value instanceof Error ? `${value.message}${value.stack}` : ""
  ].join("\n")

describe.each(["shs", "noise", "noisepq"])("a dial with a seed or token for %s", (transform) => {
  it.live("shows it in no error, event, span or log, however it is printed or encoded", () =>
    Effect.gen(function* () {
      const events: Array<Events.Event> = []
      const logged: Array<string> = []
      const spans: Array<Tracer.Span> = []
      const logger = Logger.layer([
        Logger.make((options) => logged.push(show(options.message), show(options.cause), Cause.pretty(options.cause)))
      ])
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      yield* Effect.gen(function* () {
        const [address] = yield* served(`net:127.0.0.1:0~${transform}`, echo)
        const [network] = yield* served(`memory:n~${transform}`, echo).pipe(
          Effect.provide(multiserver().pipe(Layer.provide(AppKey.layer(Redacted.make(pattern(32, 3))))))
        )
        const silent = yield* Effect.acquireRelease(
          Effect.callback<net.Server>((resume) => {
            const server = net.createServer((socket) => socket.destroy())
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const silentPort = (silent.address() as net.AddressInfo).port
        const text = base64(seed)
        const targets = [
          `${address}:${text}`,
          `net:127.0.0.1:1~${transform}:${somebody}:${text}`,
          `net:name.invalid:1~${transform}:${somebody}:${text}`,
          `net:127.0.0.1:${silentPort}~${transform}:${somebody}:${text}`,
          String(address).replace(/~.*/, `~${transform}:${somebody}:${text}`),
          `ws://127.0.0.1~${transform}:${somebody}:${text}`,
          `net:127.0.0.1:0~${transform}:${somebody}:${text}`,
          `${network}:${text}`,
          `memory:x~${transform}:${somebody}:${text};net:127.0.0.1:1~${transform}:${somebody}:${text}`,
          `net:127.0.0.1:99999~${transform}:${somebody}:${text}`,
          `net:127.0.0.1:1~${transform}:${somebody}:${text}x`,
          `net:127.0.0.1:1~${transform}:${text.slice(0, 20)} ${text.slice(20)}`
        ]
        for (const target of targets) {
          const exit = yield* Effect.scoped(Multiserver.dial(target)).pipe(
            Effect.withSpan("dial"),
            Effect.tapCause((cause) => Effect.logError("dial failed", cause)),
            Effect.exit
          )
          if (Exit.isSuccess(exit)) {
            assertNoSecret(show(exit.value.remote), "remote")
            continue
          }
          const error = Cause.findError(exit.cause)
          assertNoSecret(`${show(exit)}${Cause.pretty(exit.cause)}`, "exit")
          if (error._tag === "Success" && error.success instanceof DialError) {
            const encoded = yield* Schema.encodeEffect(Schema.toCodecJson(DialError))(error.success)
            assertNoSecret(JSON.stringify(encoded), "encoded error")
          }
        }
      }).pipe(
        Effect.provide(multiserver().pipe(Layer.provide(recorder(events)))),
        Effect.provide([logger, Layer.succeed(References.MinimumLogLevel, "All")]),
        Effect.withTracer(tracer)
      )
      assert.isAbove(events.length, 10)
      assert.isAbove(logged.length, 10)
      assert.isAbove(spans.length, 10)
      for (const event of events) assertNoSecret(show(event), "event")
      for (const line of logged) assertNoSecret(line, "log")
      for (const span of spans) assertNoSecret(`${show([...span.attributes])}${span.name}`, "span")
    })
  )
})

describe("a dial with a seed", () => {
  it.live("speaks as the key of the seed", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const layer = multiserver({
        authorize: ({ publicKey }: Shs.Applicant) =>
          Effect.sync(() => {
            asked.push(formatPublicKey(publicKey))
            return true
          })
      })
      yield* Effect.gen(function* () {
        const [address] = yield* served("memory:m~shs", echo)
        const connection = yield* Multiserver.dial(`${address}:${base64(seed)}`)
        assert.deepStrictEqual(asked, [formatPublicKey(PublicKey.make(pair.publicKey))])
        assert.strictEqual(String(connection.remote), String(address))
        yield* Multiserver.dial(address as Address.Address)
        assert.strictEqual(asked[1], formatPublicKey((yield* Identity).publicKey))
      }).pipe(Effect.provide(layer))
    })
  )

  it("of the app key, too, nothing is printed", () => {
    assertNoSecret(show(AppKey.mainNetwork), "app key")
    assert.notInclude(show(AppKey.mainNetwork), "1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan")
  })
})
