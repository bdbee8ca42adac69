/** Who may be dialed, who may connect, and which keys come in. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import * as Configuration from "../src/Configuration.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import { DeniedByPolicy, Refused } from "../src/DialError.ts"
import type * as Events from "../src/Events.ts"
import * as Identity from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import * as Networks from "../src/Networks.ts"
import * as Net from "../src/net/Net.ts"
import * as Onion from "../src/onion/Onion.ts"
import * as Policy from "../src/Policy.ts"
import * as Shs from "../src/shs/Shs.ts"
import * as Transport from "../src/Transport.ts"
import * as Unix from "../src/unix/Unix.ts"
import { echo, pattern, readAll, recorder, served, turn } from "./support/servers.ts"
import { base64 } from "./support/vectors.ts"

const exchange = (address: Multiserver.Target) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Multiserver.dial(address)
      yield* Effect.andThen(connection.write(pattern(10)), connection.end)
      assert.strictEqual((yield* readAll(connection)).length, 10)
    })
  )

const speaking = (rules: Policy.PolicyRules, shs: Shs.Options = {}) =>
  Multiserver.layer(["net", "net~shs", "memory"]).pipe(
    Layer.provide([Net.layer(), Memory.layer(), Shs.layer(shs), Layer.succeed(Policy.Policy, rules)]),
    Layer.provide(Identity.layerEphemeral),
    Layer.provide(Sodium.layer),
    Layer.provide(recorder([]))
  )

describe("networks", () => {
  it("contain what they say, IPv4 mapped into IPv6 and zones included", () => {
    const own = Result.getOrThrow(Networks.parse(["10.0.0.0/8", "203.0.113.7", "2001:db8::/32", "fe80::/10", "::1"]))
    for (const ip of [
      "10.1.2.3",
      "203.0.113.7",
      "::ffff:10.1.2.3",
      "::ffff:a01:203",
      "2001:DB8::9",
      "fe80::1%eth0",
      "::1"
    ]) {
      assert.isTrue(Networks.contains(own, ip), ip)
    }
    for (const ip of ["11.1.2.3", "203.0.113.8", "2001:db9::9", "::2", "10.1.2", "localhost", "", "10.1.2.3 "]) {
      assert.isFalse(Networks.contains(own, ip), ip)
    }
  })

  it("of IPv4 mapped into IPv6 are networks of IPv4", () => {
    const own = Result.getOrThrow(Networks.parse(["::ffff:127.0.0.0/104", "::ffff:10.1.2.3", "::ffff:c0a8:0/112"]))
    assert.deepStrictEqual(Networks.format(own), ["127.0.0.0/8", "10.1.2.3/32", "192.168.0.0/16"])
    for (const ip of ["127.9.9.9", "::ffff:127.0.0.1", "::ffff:7f00:1", "10.1.2.3", "192.168.7.7"]) {
      assert.isTrue(Networks.contains(own, ip), ip)
    }
    assert.isFalse(Networks.contains(own, "128.0.0.1"))
    const whole = Result.getOrThrow(Networks.parse(["::ffff:0:0/96", "::/0"]))
    assert.deepStrictEqual(Networks.format(whole), ["0.0.0.0/0", "::/0"])
  })

  it("cover others when they have every address of them, in whatever pieces", () => {
    const parse = (...texts: ReadonlyArray<string>) => Result.getOrThrow(Networks.parse(texts))
    const everything = parse("0.0.0.0/0", "::/0")
    assert.isTrue(Networks.covers(everything, everything))
    assert.isTrue(Networks.covers(parse("0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2", "::/1", "8000::/1"), everything))
    assert.isFalse(Networks.covers(parse("0.0.0.0/1", "128.0.0.0/2", "::/0"), everything))
    assert.isFalse(Networks.covers(parse("0.0.0.0/0"), everything))
    assert.isFalse(Networks.covers(Networks.empty, everything))
    assert.isTrue(Networks.covers(Networks.empty, Networks.empty))
    assert.isTrue(Networks.covers(parse("10.0.0.0/31", "10.0.0.2"), parse("10.0.0.0/31", "10.0.0.2/32")))
    assert.isFalse(Networks.covers(parse("10.0.0.0/31", "10.0.0.2"), parse("10.0.0.0/30")))
    // Not exponential: each address of a network but its last.
    const allButOne = parse(...Array.from({ length: 128 }, (_, i) => `8000::/${i + 1}`).slice(1), "::/1")
    assert.isFalse(Networks.covers(allButOne, everything))
  })

  it("are refused with a typed error when they are none", () => {
    for (const text of ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "2001:db8::/129", "example.org", "", "010.0.0.0/8"]) {
      const parsed = Networks.parse(["127.0.0.1", text])
      assert.isTrue(Result.isFailure(parsed), text)
      if (Result.isFailure(parsed)) {
        assert.strictEqual(parsed.failure._tag, "NetworkError")
        assert.strictEqual(parsed.failure.text, text)
      }
    }
  })
})

describe("what is public", () => {
  it("is neither private nor special, however it is written", () => {
    const closed = [
      "0.0.0.0",
      "10.0.0.1",
      "100.64.0.1",
      "127.0.0.1",
      "169.254.169.254",
      "172.31.255.255",
      "192.168.1.1",
      "198.18.0.1",
      "203.0.113.1",
      "224.0.0.1",
      "240.0.0.1",
      "255.255.255.255",
      "::",
      "::1",
      "::127.0.0.1",
      "::ffff:127.0.0.1",
      "::ffff:7f00:1",
      "::ffff:0:7f00:1",
      "64:ff9b::7f00:1",
      "100::1",
      "2001::1",
      "2001:db8::1",
      "2002:7f00:1::",
      "3fff::1",
      "fc00::1",
      "fd12::1",
      "fe80::1%eth0",
      "fec0::1",
      "ff02::1",
      "localhost",
      "0x7f000001",
      "2130706433"
    ]
    for (const ip of closed) assert.isFalse(Policy.isPublic(ip), ip)
    for (const ip of ["1.1.1.1", "172.32.0.1", "100.128.0.1", "223.255.255.255", "2606:4700::1111", "::ffff:1.1.1.1"]) {
      assert.isTrue(Policy.isPublic(ip), ip)
    }
  })
})

describe("rules", () => {
  it.effect("deny before they allow, and an allow list is all that there is", () =>
    Effect.gen(function* () {
      const { rules } = yield* Policy.make({
        dial: { allow: ["10.0.0.0/8", "1.1.1.1"], deny: ["10.9.0.0/16"], denyPrivate: true },
        accept: { deny: ["203.0.113.0/24"] }
      })
      const address = {} as Address.Address
      const may = (ip: string) => rules.mayDialIp(ip, address)
      assert.deepStrictEqual(["10.1.1.1", "1.1.1.1", "10.9.1.1", "8.8.8.8"].map(may), [true, true, false, false])
      const mayConnect = (source: string | undefined) => rules.mayConnect(source, { reach: "public", trusted: false })
      assert.deepStrictEqual(["203.0.113.9", "::ffff:203.0.113.9", "203.0.114.1", undefined].map(mayConnect), [
        false,
        false,
        true,
        true
      ])
    })
  )

  it.effect("let nobody in who has no IP where there is an allow list, but this user's own", () =>
    Effect.gen(function* () {
      const { rules } = yield* Policy.make({ accept: { allow: ["203.0.113.0/24"] } })
      const may = (source: string | undefined, trusted = false) =>
        rules.mayConnect(source, { reach: "public", trusted })
      assert.isTrue(may("203.0.113.9"))
      assert.isFalse(may(undefined))
      assert.isFalse(may("a key"))
      assert.isTrue(may(undefined, true))
    })
  )

  it.effect("deny the unspecified IP, which leads to this device, where loopback is denied or not allowed", () =>
    Effect.gen(function* () {
      const unspecified = ["0.0.0.0", "::", "::0", "::ffff:0.0.0.0"]
      const may = (lists: Policy.Lists) =>
        Effect.map(Policy.make({ dial: lists }), ({ rules }) =>
          unspecified.map((ip) => rules.mayDialIp(ip, {} as Address.Address))
        )
      const none = unspecified.map(() => false)
      assert.deepStrictEqual(yield* may({ deny: ["127.0.0.0/8"] }), none)
      assert.deepStrictEqual(yield* may({ deny: ["::1"] }), none)
      assert.deepStrictEqual(yield* may({ allow: ["0.0.0.0/8", "::/128"] }), none)
      assert.notInclude(yield* may({ deny: ["10.0.0.0/8"] }), false)
      assert.notInclude(yield* may({ allow: ["0.0.0.0/0", "::/0"] }), false)
    })
  )

  it.effect("let nobody in who has no IP where all that reaches the transport is denied, but this user's own", () =>
    Effect.gen(function* () {
      const { rules } = yield* Policy.make({ accept: { deny: ["0.0.0.0/0", "::/0"] } })
      for (const source of [undefined, "a key", "203.0.113.9", "::1"]) {
        for (const reach of ["device", "local", "public"] as const) {
          assert.isFalse(rules.mayConnect(source, { reach, trusted: false }), `${source} ${reach}`)
        }
      }
      assert.isTrue(rules.mayConnect(undefined, { reach: "device", trusted: true }))
      const { rules: some } = yield* Policy.make({ accept: { deny: ["203.0.113.0/24"] } })
      assert.isTrue(some.mayConnect("a key", { reach: "public", trusted: false }))
    })
  )

  it.live("judge an address that leads to no IP by how far its transport reaches, whatever its name is", () =>
    Effect.gen(function* () {
      const { replace, rules } = yield* Policy.make({})
      const reaching = <const Name extends Transport.Reach>(reach: Name) =>
        Transport.layer(reach, {
          section: Address.section(reach, Schema.String),
          reach: () => reach,
          dial: () => Effect.fail(new Refused())
        })
      // Some of its sections are for a proxy, which looks up the name.
      const proxied = Transport.layer("proxied", {
        section: Address.section("proxied", Schema.String),
        reach: () => "public",
        toIps: (section) => {
          if (section === "throws") throw new Error("the author's fault")
          return section === "direct"
        },
        dial: (section, { permits }) =>
          Effect.fail(
            section === "proxy" || permits("127.0.0.1") ? new Refused() : new DeniedByPolicy({ detail: "127.0.0.1" })
          )
      })
      const live = Multiserver.layer(["net", "unix", "onion", "memory", "device", "local", "public", "proxied"]).pipe(
        Layer.provide([
          Net.layer(),
          Unix.layer(),
          Onion.layer({ proxies: [{ host: "127.0.0.1", port: 1 }] }),
          Memory.layer()
        ]),
        Layer.provide([reaching("device"), reaching("local"), reaching("public"), proxied]),
        Layer.provide(Layer.succeed(Policy.Policy, rules))
      )
      const addresses = {
        net: "net:127.0.0.1:1",
        unix: "unix:/nonexistent/socket",
        onion: `onion:${"a".repeat(56)}.onion:1`,
        memory: "memory:nobody",
        device: "device:x",
        local: "local:x",
        public: "public:x"
      }
      /** The addresses that are dialed, under a policy. */
      const dialed = (dial: NonNullable<Policy.Options["dial"]>) =>
        Effect.gen(function* () {
          yield* replace({ dial })
          const tried = yield* Effect.forEach(Object.entries(addresses), ([name, address]) =>
            Effect.map(Effect.flip(Effect.scoped(Multiserver.dial(address))), (error) =>
              error._tag === "DialError" && error.reason._tag === "DeniedByPolicy" ? [] : [name]
            )
          )
          return tried.flat()
        })
      yield* Effect.gen(function* () {
        const all = Object.keys(addresses)
        assert.deepStrictEqual(yield* dialed({}), all)
        assert.deepStrictEqual(yield* dialed({ allow: ["203.0.113.0/24"] }), [])
        assert.deepStrictEqual(yield* dialed({ allow: ["0.0.0.0/0", "::/0"] }), ["net"])
        assert.deepStrictEqual(yield* dialed({ allow: ["127.0.0.1"], denyPrivate: true }), ["net"])
        assert.deepStrictEqual(yield* dialed({ deny: ["0.0.0.0/0", "::/0"] }), [])
        assert.deepStrictEqual(yield* dialed({ deny: ["0.0.0.0/1", "128.0.0.0/1", "::/0"] }), [])
        assert.deepStrictEqual(yield* dialed({ denyPrivate: true }), ["onion", "public"])
        assert.deepStrictEqual(yield* dialed({ deny: ["0.0.0.0/1", "128.0.0.0/1", "::/0"], denyPrivate: true }), [])
        // What is denied is what the list has, and no more.
        assert.deepStrictEqual(yield* dialed({ deny: ["203.0.113.0/24"] }), all)
        assert.deepStrictEqual(yield* dialed({ deny: ["10.0.0.0/8"] }), all)
        assert.deepStrictEqual(yield* dialed({ deny: ["127.0.0.0/8"] }), ["onion", "local", "public"])
        assert.deepStrictEqual(yield* dialed({ deny: ["::1"] }), ["net", "onion", "local", "public"])
        const local = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"]
        assert.deepStrictEqual(
          yield* dialed({ deny: local }),
          all.filter((name) => name !== "local")
        )
        const reasons = (dial: NonNullable<Policy.Options["dial"]>) =>
          Effect.andThen(
            replace({ dial }),
            Effect.forEach(["direct", "proxy", "throws"], (name) =>
              Effect.map(Effect.flip(Effect.scoped(Multiserver.dial(`proxied:${name}`))), (error) =>
                error._tag === "DialError" ? error.reason._tag : error._tag
              )
            )
          )
        const denied = "DeniedByPolicy"
        assert.deepStrictEqual(yield* reasons({}), ["Refused", "Refused", denied])
        assert.deepStrictEqual(yield* reasons({ allow: ["127.0.0.1"] }), ["Refused", denied, denied])
        assert.deepStrictEqual(yield* reasons({ deny: ["127.0.0.1"] }), [denied, "Refused", denied])
      }).pipe(Effect.provide(live))
    })
  )

  it.effect("say which network is none", () =>
    Effect.gen(function* () {
      for (const options of [{ dial: { deny: ["10.0.0.1/8"] } }, { accept: { allow: ["10.0.0.1/8"] } }]) {
        const error = yield* Effect.flip(Policy.make(options))
        assert.include(error.message, '"10.0.0.1/8" is no IP network')
      }
      const error = yield* Effect.flip(Layer.build(Policy.layer({ accept: { deny: ["nowhere"] } })))
      assert.strictEqual(error._tag, "NetworkError")
    }).pipe(Effect.scoped)
  )

  it.live("keep dials out of this machine and its network, by name and by number", () =>
    Effect.gen(function* () {
      const { replace, rules } = yield* Policy.make({ dial: { denyPrivate: true } })
      yield* Effect.gen(function* () {
        const [address, memory] = yield* served(["net:127.0.0.1:0", "memory:m"], echo)
        const target = String(address)
        const others = ["localhost", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "127.1", "0.0.0.0"]
        for (const each of [target, String(memory), ...others.map((host) => target.replace("127.0.0.1", host))]) {
          const error = yield* Effect.flip(Multiserver.dial(each))
          assert.strictEqual(error.reason._tag, "DeniedByPolicy", each)
        }
        // Reloaded while it serves.
        yield* replace({})
        yield* exchange(target)
        const error = yield* Effect.flip(replace({ dial: { deny: ["nonsense"] } }))
        assert.strictEqual(error._tag, "NetworkError")
        yield* exchange(target)
        yield* replace({ accept: { deny: ["127.0.0.0/8"] } })
        yield* Effect.flip(exchange(target))
        yield* replace({ accept: { allow: ["127.0.0.1/32"] } })
        yield* exchange(target)
      }).pipe(Effect.provide(speaking(rules)))
    })
  )

  it.effect("come from configuration, and what is wrong there is a typed error", () =>
    Effect.gen(function* () {
      const read = (env: Record<string, string>) =>
        Configuration.policy.pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }).pipe(ConfigProvider.constantCase)))
        )
      assert.deepStrictEqual(yield* read({}), { dial: { deny: [], denyPrivate: false }, accept: { deny: [] } })
      assert.deepStrictEqual(
        yield* read({
          MULTISERVER_DIAL_DENY_PRIVATE: "true",
          MULTISERVER_DIAL_ALLOW: "10.1.0.0/16",
          MULTISERVER_ACCEPT_DENY: "203.0.113.0/24, 2001:db8::/32"
        }),
        {
          dial: { allow: ["10.1.0.0/16"], deny: [], denyPrivate: true },
          accept: { deny: ["203.0.113.0/24", "2001:db8::/32"] }
        }
      )
      const error = yield* Effect.flip(read({ MULTISERVER_ACCEPT_DENY: "203.0.113.1/24" }))
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(String(error), "is no IP network")
      const proxies = yield* Configuration.trustedProxies.pipe(
        Effect.provide(
          ConfigProvider.layer(
            ConfigProvider.fromEnv({ env: { MULTISERVER_TRUSTED_PROXIES: "127.0.0.1" } }).pipe(
              ConfigProvider.constantCase
            )
          )
        )
      )
      assert.isTrue(Networks.contains(proxies, "127.0.0.1"))
    })
  )
})

describe("allowed keys", () => {
  it.live("let in theirs and nobody else's, replaced while serving", () =>
    Effect.gen(function* () {
      const keys = yield* Policy.makeKeys([base64(pattern(32))])
      yield* Effect.gen(function* () {
        const own = yield* Identity.Identity
        const [address] = yield* served("net:127.0.0.1:0~shs", echo)
        const target = address as Address.Address
        yield* Effect.flip(exchange(target))
        yield* keys.replace([own.publicKey])
        yield* exchange(target)
        yield* keys.replace([`@${Identity.formatPublicKey(own.publicKey)}.ed25519`])
        yield* exchange(target)
        const error = yield* Effect.flip(keys.replace([own.publicKey, "no key, maybe a secret"]))
        assert.strictEqual(error._tag, "KeyError")
        assert.notInclude(String(error), "secret")
        yield* exchange(target)
        yield* keys.replace([])
        yield* Effect.flip(exchange(target))
      }).pipe(
        Effect.provide(
          Multiserver.layer(["net~shs"]).pipe(
            Layer.provide([Net.layer(), Shs.layer({ authorize: keys.authorize })]),
            Layer.provideMerge(Identity.layerEphemeral),
            Layer.provide(Sodium.layer)
          )
        )
      )
    })
  )
})

describe("a policy that throws, or answers what is no answer", () => {
  const defect = new Error("a policy's own fault")
  const throwing = () => {
    throw defect
  }
  /** What JavaScript lets through: a promise is no answer, though it is as good as true in a condition. */
  const promising = () => Promise.resolve(true) as unknown as boolean
  const logger = (logged: Array<string>) =>
    Logger.layer([
      Logger.make(({ cause, logLevel, message }) => void logged.push(`${logLevel} ${message} ${Cause.pretty(cause)}`))
    ])

  /** The reason for which a dial fails, and what was logged. */
  const dialed = (target: string, rules: Partial<Policy.PolicyRules>) =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const error = yield* Effect.flip(Effect.scoped(Multiserver.dial(target))).pipe(
        Effect.provide(speaking({ ...Policy.allowAll, ...rules })),
        Effect.provide(logger(logged))
      )
      return { reason: error.reason._tag, logged }
    })
  const saysSo = (logged: ReadonlyArray<string>, name: string) => {
    assert.isAbove(logged.length, 0)
    for (const line of logged) {
      assert.match(line, /^Error /)
      assert.include(line, name)
      assert.include(line, defect.message)
    }
  }

  it.live("lets nothing be dialed: mayDial", () =>
    Effect.gen(function* () {
      yield* served("memory:m", echo)
      const thrown = yield* dialed("memory:m", { mayDial: throwing })
      assert.strictEqual(thrown.reason, "DeniedByPolicy")
      saysSo(thrown.logged, "mayDial")
      assert.strictEqual((yield* dialed("memory:m", { mayDial: promising })).reason, "DeniedByPolicy")
    }).pipe(Effect.provide(speaking(Policy.allowAll)))
  )

  it.live("lets nothing be dialed: mayDialIp, of an IP and in the callback of a name lookup", () =>
    Effect.gen(function* () {
      for (const target of ["net:127.0.0.1:1", "net:localhost:1"]) {
        const thrown = yield* dialed(target, { mayDialIp: throwing })
        assert.strictEqual(thrown.reason, "DeniedByPolicy")
        saysSo(thrown.logged, "mayDialIp")
        assert.strictEqual((yield* dialed(target, { mayDialIp: promising })).reason, "DeniedByPolicy")
      }
    })
  )

  it.live("lets nothing be dialed: order", () =>
    Effect.gen(function* () {
      const thrown = yield* dialed("memory:m", { order: throwing })
      assert.strictEqual(thrown.reason, "DeniedByPolicy")
      saysSo(thrown.logged, "order")
      const nothing = (() => undefined) as unknown as Policy.PolicyRules["order"]
      assert.strictEqual((yield* dialed("memory:m", { order: nothing })).reason, "DeniedByPolicy")
    })
  )

  for (const target of ["memory:m", "net:127.0.0.1:0"]) {
    for (const [how, mayConnect] of [
      ["throws", throwing],
      ["promises", promising]
    ] as const) {
      it.live(`lets nobody connect, and the listener goes on: mayConnect ${how}, ${target}`, () =>
        Effect.gen(function* () {
          const logged: Array<string> = []
          const events: Array<Events.Event> = []
          let current: Policy.PolicyRules["mayConnect"] = mayConnect
          const rules: Policy.PolicyRules = {
            ...Policy.allowAll,
            mayConnect: (source, at) => current(source, at)
          }
          const layer = Multiserver.layer(["net", "memory"]).pipe(
            Layer.provide([Net.layer(), Memory.layer(), Layer.succeed(Policy.Policy, rules), recorder(events)])
          )
          yield* Effect.gen(function* () {
            const [address] = yield* served(target, echo)
            assert.isTrue(Result.isFailure(yield* Effect.result(exchange(address as Address.Address))))
            yield* Effect.repeat(turn, { until: () => events.some(({ _tag }) => _tag === "Refused") })
            const refusals = events.filter((event) => event._tag === "Refused")
            assert.deepStrictEqual(
              refusals.map(({ tag }) => tag),
              ["DeniedByPolicy"]
            )
            current = () => true
            yield* exchange(address as Address.Address)
          }).pipe(Effect.provide(layer), Effect.provide(logger(logged)))
          if (how === "throws") saysSo(logged, "mayConnect")
        })
      )
    }
  }

  it.live("is a defect of the dial that it was given to: the dial's own plan", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(Effect.scoped(Multiserver.dial("memory:m", { plan: throwing })))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    }).pipe(Effect.provide(speaking(Policy.allowAll)))
  )
})
