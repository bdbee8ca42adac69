import { inspect } from "node:util"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Address from "../src/Address.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import * as Invite from "../src/Invite.ts"
import { pattern } from "./support/servers.ts"
import { base64 } from "./support/vectors.ts"

const key = base64(pattern(32, 1))
const seedBytes = pattern(32, 2)
const seed = base64(seedBytes)

const read = (text: string): Address.Address => Result.getOrThrow(Invite.parse(text))
const reveal = (text: string): string => Address.formatWithSecrets(read(text))
const refusal = (text: string) =>
  Result.match(Invite.parse(text), {
    onSuccess: () => "read",
    onFailure: ({ reason }) => `${reason._tag} at ${reason.offset}`
  })

/**
 * For npm ssb-ref what follows the last colon before the transforms is the port, and without one there is no invite.
 */
const hasPort = /^[^~]*:\d+~shs:/

describe("an invite", () => {
  it("is read in the form of an address", () => {
    for (const where of [
      "net:pub.example:8008",
      "net:::1:8008",
      "ws://pub.example:8989",
      "ws://[::1]:8989/path?query",
      "wss://pub.example:8989",
      `onion:${"a".repeat(56)}.onion:8008`
    ]) {
      assert.strictEqual(reveal(`${where}~shs:${key}:${seed}`), `${where}~shs:${key}:${seed}`)
    }
    for (const where of ["net:pub.example:8008", "unix:/a#b"]) {
      assert.strictEqual(reveal(`${where}~shs:${key}:${seed}#https://pub.example/~us;`), `${where}~shs:${key}:${seed}`)
    }
    assert.strictEqual(
      reveal(`net:pub.example:8008~noise:${key}:${seed}#https://pub.example/~us`),
      `net:pub.example:8008~noise:${key}:${seed}`
    )
    const [shs] = read(`ws://pub.example:80~shs:${key}:${seed}`).transforms
    const found = shs?._tag === "shs" ? shs.seed : undefined
    assert.deepStrictEqual(found && Redacted.value(found), seedBytes)
  })

  it("is read in the older form, without its redirect", () => {
    const onion = `${"a".repeat(56)}.onion`
    for (const [where, expected] of [
      ["pub.example:8008", "net:pub.example:8008"],
      ["127.0.0.1:8008", "net:127.0.0.1:8008"],
      ["::1:8008", "net:::1:8008"],
      ["[::1]:8008", "net:::1:8008"],
      [`${onion}:8008`, `onion:${onion}:8008`]
    ]) {
      for (const redirect of ["", "#", "#https://pub.example/welcome?to=~us;#2"]) {
        assert.strictEqual(
          reveal(`${where}:@${key}.ed25519~${seed}${redirect}`),
          `${expected}~shs:${key}:${seed}`,
          `${where} ${redirect}`
        )
      }
    }
  })

  it("has no redirect behind a key in another spelling, and no section behind the seed of the older form", () => {
    const urlSafe = key.replaceAll("+", "-").replaceAll("/", "_")
    for (const spelled of [urlSafe, key.slice(0, -1)]) {
      const read = reveal(`net:pub.example:8008~shs:${spelled}:${seed}#https://pub.example`)
      assert.strictEqual(read, `net:pub.example:8008~shs:${key}:${seed}`)
    }
    assert.isTrue(Result.isFailure(Invite.parse(`pub.example:8008:@${key}.ed25519~${seed}~noauth`)))
  })

  it("is read with white space and one pair of quotes around it, as it is copied", () => {
    for (const invite of [`net:pub.example:8008~shs:${key}:${seed}`, `pub.example:8008:@${key}.ed25519~${seed}`]) {
      for (const [before, after] of [
        ['"', '"'],
        ["'", "'"],
        ["`", "`"],
        ["", "\n"],
        ["  ", " \r\n"],
        ['\n "', '"\n'],
        ['" ', ' "'],
        ['"', '#https://pub.example/"']
      ] as const) {
        assert.strictEqual(reveal(before + invite + after), `net:pub.example:8008~shs:${key}:${seed}`)
      }
      for (const [before, after] of [
        ['"', ""],
        ["", '"'],
        ['"', "'"],
        ['""', '""']
      ] as const) {
        assert.notStrictEqual(refusal(before + invite + after), "read", before + after)
      }
    }
    // The character is that of the text as it was given.
    assert.strictEqual(refusal(` "net:pub.example:x~shs:${key}:${seed}" `), "BadPort at 18")
    assert.strictEqual(refusal(` "pub.example:x:@${key}.ed25519~${seed}" `), "BadPort at 14")
  })

  it("that is none is an error that points at the character, and doesn't hold the text", () => {
    const legacy = `pub.example:8008:@${key}.ed25519~`
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["", "Syntax at 0"],
      [`net:pub.example:8008~shs:${key}`, `BadSeed at ${25 + key.length}`],
      [`net:pub.example:8008~shs:${key}:${seed.slice(4)}`, `BadSeed at ${26 + key.length}`],
      [`net:h:1~shs:${key}:${seed};net:h:2~shs:${key}:${seed}`, `Syntax at ${13 + key.length + seed.length}`],
      ["net:pub.example:8008", "BadSeed at 20"],
      [legacy, `BadSeed at ${legacy.length}`],
      [`${legacy}${seed}x`, `BadSeed at ${legacy.length}`],
      [`pub.example:8008:@AAAA.ed25519~${seed}`, "BadKey at 18"],
      [`pub.example:port:@${key}.ed25519~${seed}`, "BadPort at 12"],
      [`pub.example:@${key}.ed25519~${seed}`, "BadPort at 11"],
      [`pub/example:8008:@${key}.ed25519~${seed}`, "BadHost at 0"],
      [`pub.example :8008:@${key}.ed25519~${seed}`, "Syntax at 11"],
      [`pub.example:8008:@${key}~${seed}`, "Syntax at 0"],
      ["x".repeat(100_000), "TooLong at 0"]
    ]
    for (const [text, expected] of cases) {
      assert.strictEqual(refusal(text), expected, text.slice(0, 200))
      const error = Result.match(Invite.parse(text), { onSuccess: () => "", onFailure: (error) => inspect(error) })
      assert.notInclude(error, seed.slice(4))
    }
  })

  it("is printed with its port, also where an address goes without", () => {
    for (const [where, expected] of [
      ["ws://pub.example", "ws://pub.example:80"],
      ["wss://pub.example", "wss://pub.example:443"],
      ["ws://pub.example/path?a=1:2", "ws://pub.example:80/path?a=1:2"],
      ["wss://[::1]/path", "wss://[::1]:443/path"],
      ["wss://[::1]", "wss://[::1]:443"],
      ["ws://pub.example:443", "ws://pub.example:443"],
      ["ws://pub.example:8989", "ws://pub.example:8989"],
      ["net:pub.example:80", "net:pub.example:80"]
    ]) {
      const text = Invite.formatWithSecrets(read(`${where}~shs:${key}:${seed}`))
      assert.strictEqual(text, `${expected}~shs:${key}:${seed}`)
      assert.strictEqual(Invite.formatWithSecrets(read(text)), text)
    }
    assert.match(Invite.formatWithSecrets(read(`wss://pub.example~shs:${key}:${seed}`)), hasPort)
  })

  it("shows its seed to nobody who doesn't ask for it", () => {
    const invite = read(`pub.example:8008:@${key}.ed25519~${seed}`)
    for (const shown of [`${invite}`, JSON.stringify(invite), inspect(invite), Address.format(invite)]) {
      assert.notInclude(shown, seed)
      assert.include(shown, "<redacted>")
    }
  })

  it("is printed in the older form where that can say it", () => {
    const legacy = `pub.example:8008:@${key}.ed25519~${seed}`
    assert.strictEqual(Invite.formatLegacyWithSecrets(read(legacy)), legacy)
    assert.strictEqual(
      reveal(Invite.formatLegacyWithSecrets(read(`net:::1:1~shs:${key}:${seed}`)) ?? ""),
      `net:::1:1~shs:${key}:${seed}`
    )
    assert.isUndefined(Invite.formatLegacyWithSecrets(read(`ws://pub.example:80~shs:${key}:${seed}`)))
    assert.isUndefined(Invite.formatLegacyWithSecrets(read(`net:h:1~shs:${key}:${seed}~deflate`)))
  })

  it.effect("is made of an address with a key, and a secret", () =>
    Effect.gen(function* () {
      const addressOf = (text: string) => Result.getOrThrow(Address.parse(text))[0]
      const fresh = yield* Invite.newSecret
      assert.notDeepEqual(Redacted.value(fresh), Redacted.value(yield* Invite.newSecret))
      const made = Result.getOrThrow(Invite.make(addressOf(`ws://pub.example~shs:${key}`), Redacted.make(seedBytes)))
      assert.strictEqual(Invite.formatWithSecrets(made), `ws://pub.example:80~shs:${key}:${seed}`)
      const byToken = Result.getOrThrow(
        Invite.make(addressOf(`net:h:1~noise:${key}~deflate`), Redacted.make(seedBytes))
      )
      assert.strictEqual(Invite.formatWithSecrets(byToken), `net:h:1~noise:${key}:${seed}~deflate`)
      assert.isUndefined(Invite.formatLegacyWithSecrets(byToken))
      for (const [text, bytes, expected] of [
        ["net:pub.example:8008~noise", seedBytes, "MissingSection"],
        [`net:pub.example:8008~noise:${key}`, new Uint8Array(32), "BadToken"],
        ["net:pub.example:8008~shs", seedBytes, "MissingSection"],
        ["net:pub.example:8008", seedBytes, "MissingSection"],
        [`net:pub.example:8008~shs:${key}`, new Uint8Array(31), "BadSeed"]
      ] as const) {
        const error = yield* Effect.flip(Effect.fromResult(Invite.make(addressOf(text), Redacted.make(bytes))))
        assert.strictEqual(error.reason._tag, expected)
      }
    }).pipe(Effect.provide(Sodium.layer))
  )

  it("lets in once, and then the new key: examples/invite.ts", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {})
    await import("../examples/invite.ts")
    const said = log.mock.calls.flat()
    log.mockRestore()
    const each = ["welcome", "welcome back", "the invite is used up: HandshakeError"]
    assert.deepStrictEqual(said, [...each, ...each])
  })
})
