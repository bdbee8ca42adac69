/** Addresses, keys and limits from `Config`. */
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Address from "../src/Address.ts"
import * as AppKey from "../src/AppKey.ts"
import * as Configuration from "../src/Configuration.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import * as Limits from "../src/Limits.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import * as Shs from "../src/shs/Shs.ts"
import { echo, pattern, readAll, served } from "./support/servers.ts"
import { base64 } from "./support/vectors.ts"

const environment = (values: Record<string, string>) =>
  ConfigProvider.layer(ConfigProvider.fromEnv({ env: values }).pipe(ConfigProvider.constantCase))

describe("configuration", () => {
  it.live("gives a whole server: address, identity, app key and limits", () =>
    Effect.gen(function* () {
      const live = Multiserver.layer(["memory~shs"]).pipe(
        Layer.provide([Shs.layer(), Memory.layer()]),
        Layer.provide([Configuration.layerAppKey, Configuration.layerLimits]),
        Layer.provide(Configuration.layerIdentity()),
        Layer.provide(Sodium.layer)
      )
      yield* Effect.gen(function* () {
        const address = yield* Config.schema(Address.MultiAddressFromString, "listen")
        const [bound] = yield* served(address, echo)
        const connection = yield* Multiserver.dial(bound as Address.Address)
        yield* Effect.andThen(connection.write(pattern(10)), connection.end)
        assert.strictEqual((yield* readAll(connection)).length, 10)
      }).pipe(Effect.provide(live))
    }).pipe(
      Effect.provide(
        environment({
          LISTEN: "memory:configured~shs",
          MULTISERVER_SECRET: base64(pattern(32)),
          MULTISERVER_APP_KEY: base64(pattern(32, 7)),
          MULTISERVER_HANDSHAKE: "2 seconds"
        })
      )
    )
  )

  it.effect("has the defaults where it says nothing", () =>
    Effect.gen(function* () {
      const limits = yield* Configuration.limits
      assert.deepStrictEqual(limits, { ...Limits.defaults, grace: Duration.seconds(3), pendingHandshakes: 7 })
    }).pipe(Effect.provide(environment({ MULTISERVER_GRACE: "3 seconds", MULTISERVER_PENDING_HANDSHAKES: "7" })))
  )

  it.effect("says what is wrong without showing a secret", () =>
    Effect.gen(function* () {
      const seed = base64(pattern(32))
      const bad = {
        MULTISERVER_APP_KEY: `${seed}x`,
        LISTEN: `net:h:1~shs:${seed}:${seed}x`,
        MULTISERVER_SECRET: seed.slice(1)
      }
      const errors = yield* Effect.all([
        Effect.flip(Effect.asVoid(Configuration.appKey())),
        Effect.flip(Effect.asVoid(Config.schema(Address.MultiAddressFromString, "listen"))),
        Effect.flip(Effect.asVoid(Layer.build(Configuration.layerIdentity().pipe(Layer.provide(Sodium.layer)))))
      ]).pipe(Effect.provide(environment(bad)), Effect.scoped)
      for (const error of errors) {
        assert.include(String(error), "base64 of a")
        assert.notInclude(`${error}${JSON.stringify(error)}`, seed.slice(1, 20))
      }
    })
  )

  it("keeps the app key redacted", () => {
    assert.strictEqual(String(Redacted.make(pattern(32), { label: "app key" })), "<redacted:app key>")
    assert.isTrue(Option.isNone(AppKey.parse("too short")))
  })
})
