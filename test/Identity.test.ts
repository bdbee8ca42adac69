import { execFileSync } from "node:child_process"
import { createRequire } from "node:module"
import * as util from "node:util"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it, layer } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { vi } from "vitest"
import * as Configuration from "../src/Configuration.ts"
import { decodeExactly, encodeBase64 } from "../src/crypto/base64.ts"
import { Primitives } from "../src/crypto/Primitives.ts"
import * as Identity from "../src/Identity.ts"
import { libraries, primitives } from "./support/primitives.ts"
import { base64, hex } from "./support/vectors.ts"

interface SsbKeys {
  readonly curve: string
  readonly public: string
  readonly private: string
  readonly id: string
}
const ssbKeys: {
  readonly generate: (curve: "ed25519", seed: Buffer) => SsbKeys
  readonly createSync: (path: string, curve?: "ed25519", legacy?: boolean) => SsbKeys
  readonly loadSync: (path: string) => SsbKeys
  readonly sign: (keys: SsbKeys, message: string) => string
  readonly verify: (keys: { readonly public: string }, signature: string, message: string) => boolean
} = createRequire(import.meta.url)("ssb-keys")

const seed = Uint8Array.from({ length: 32 }, (_, i) => (i * 29 + 7) & 255)
const pair = Identity.fromSeed(primitives, Redacted.make(seed))
const secretKey = Redacted.value(pair.secretKey)
const publicKey = Identity.formatPublicKey(pair.publicKey)

/** Another key that is no part of any of these files. */
const other = Identity.formatPublicKey(Identity.fromSeed(primitives, Redacted.make(new Uint8Array(32))).publicKey)

const assertNoSecret = (value: unknown) => {
  const text = [
    String(value),
    `${JSON.stringify(value)}`,
    util.inspect(value, { depth: 20, showHidden: true }),
    value instanceof Error ? `${value.stack}` : ""
  ].join("\n")
  const forms = [base64(secretKey), base64(seed), hex(seed), seed.join(","), seed.join(", ")]
  for (const form of forms) assert.notInclude(text, form.slice(0, 12))
}

/** A directory of the test's own, and what it takes to look at files. */
const workspace = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "identity-" })
  return {
    fs,
    directory,
    path: `${directory}/secret`,
    write: (text: string | Uint8Array, mode = 0o600) => {
      const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text
      return fs
        .writeFile(`${directory}/secret`, bytes, { mode })
        .pipe(Effect.andThen(fs.chmod(`${directory}/secret`, mode)))
    }
  }
})

const assertSamePair = (actual: Identity.KeyPair, expected: Identity.KeyPair) => {
  assert.deepStrictEqual(actual.publicKey, expected.publicKey)
  assert.deepStrictEqual(Redacted.value(actual.secretKey), Redacted.value(expected.secretKey))
}

const assertSsbPair = (actual: Identity.KeyPair, keys: SsbKeys) => {
  assert.strictEqual(`${Identity.formatPublicKey(actual.publicKey)}.ed25519`, keys.public)
  assert.strictEqual(`${base64(Redacted.value(actual.secretKey))}.ed25519`, keys.private)
}

/** What a load of this text fails with, and that none of the secret is in it. */
const failure = Effect.fnUntraced(function* (path: string) {
  const error = yield* Effect.flip(Identity.load(path))
  assert.strictEqual(error.source, path)
  assert.include(error.message, path)
  assert.include(error.message, error.reason.message)
  assert.isFalse(error.isRetryable)
  assertNoSecret(error)
  const json = yield* Schema.encodeEffect(Schema.toCodecJson(Identity.IdentityError))(error)
  assertNoSecret(json)
  return error.reason
})

// -----------------------------------------------------------------------------
// public keys
// -----------------------------------------------------------------------------

describe("a public key", () => {
  const urlSafe = publicKey.replaceAll("+", "-").replaceAll("/", "_")
  const bare = publicKey.replace("=", "")

  it.each([
    ["padded", publicKey],
    ["without padding", bare],
    ["URL-safe", urlSafe],
    ["URL-safe without padding", urlSafe.replace("=", "")],
    ["as SSB's id", `@${publicKey}.ed25519`],
    ["with SSB's suffix", `${publicKey}.ed25519`],
    ["with SSB's sigil", `@${publicKey}`],
    ["as SSB's id, URL-safe without padding", `@${urlSafe.replace("=", "")}.ed25519`]
  ])("is read %s", (_, text) => {
    assert.deepStrictEqual(Identity.parsePublicKey(text), pair.publicKey)
    assert.deepStrictEqual(Schema.decodeUnknownSync(Identity.PublicKeyFromString)(text), pair.publicKey)
  })

  it("is written padded, in the standard alphabet", () => {
    assert.match(publicKey, /^[A-Za-z0-9+/]{43}=$/)
    assert.strictEqual(Schema.encodeSync(Identity.PublicKeyFromString)(pair.publicKey), publicKey)
  })

  it.each([
    ["nothing", ""],
    ["31 bytes", base64(seed.subarray(1))],
    ["33 bytes", base64(new Uint8Array(33))],
    ["64 bytes", base64(secretKey)],
    ["hex", hex(pair.publicKey)],
    ["too much padding", `${publicKey}=`],
    ["padding in front", `=${bare}`],
    ["padding inside", `${bare.slice(0, 20)}=${bare.slice(20)}`],
    ["white space", ` ${publicKey}`],
    ["a line end", `${publicKey}\n`],
    ["a character that is no digit", `${bare.slice(0, 20)}*${bare.slice(21)}=`],
    ["a character above ASCII", `${bare.slice(0, 20)}é${bare.slice(21)}=`],
    ["a character whose code is a digit's and 256", `${bare.slice(0, 20)}ŁA${bare.slice(22)}=`],
    ["spare bits that are set", `${bare.slice(0, 42)}B=`],
    ["another curve", `@${publicKey}.p256`],
    ["two sigils", `@@${publicKey}`],
    ["two suffixes", `${publicKey}.ed25519.ed25519`]
  ])("is not read from %s", (_, text) => {
    assert.isUndefined(Identity.parsePublicKey(text))
    const error = Result.getFailure(Schema.decodeUnknownResult(Identity.PublicKeyFromString)(text))
    assert.match(util.inspect(error), /32-byte public key/)
    // It may be a secret key, in the wrong place.
    assertNoSecret(error)
  })

  it("is 32 bytes", () => {
    assert.isTrue(Schema.is(Identity.PublicKey)(pair.publicKey))
    assert.isFalse(Schema.is(Identity.PublicKey)(seed.subarray(1)))
    assert.isFalse(Schema.is(Identity.PublicKey)(publicKey))
  })
})

describe("base64 of so many bytes", () => {
  it("is written as Node writes it", () => {
    for (let length = 0; length < 200; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 151 + length * 7) & 0xff)
      assert.strictEqual(encodeBase64(bytes), Buffer.from(bytes).toString("base64"))
    }
  })

  it("is what a whole decoder reads, for each length, in both alphabets, with and without padding", () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 167 + length * 31) & 255)
      const text = base64(bytes)
      for (const form of [text, text.replaceAll("=", ""), text.replaceAll("+", "-").replaceAll("/", "_")]) {
        assert.deepStrictEqual(decodeExactly(form, length), bytes)
        assert.isUndefined(decodeExactly(form, length + 1))
        assert.isUndefined(decodeExactly(`${text}=`, length))
        assert.isUndefined(decodeExactly(`=${form}`, length))
        assert.isUndefined(decodeExactly(`${form}A`, length))
      }
    }
  })

  it("has one last digit for the same bytes", () => {
    for (const length of [1, 2, 31, 32, 64]) {
      const text = base64(new Uint8Array(length)).replaceAll("=", "")
      const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
      const read = [...digits].filter((digit) => decodeExactly(text.slice(0, -1) + digit, length) !== undefined)
      assert.lengthOf(read, length % 3 === 1 ? 4 : 16)
    }
  })
})

// -----------------------------------------------------------------------------
// key pairs
// -----------------------------------------------------------------------------

describe.each(libraries)("a key pair, on $library,", ({ layer, primitives }) => {
  const pair = Identity.fromSeed(primitives, Redacted.make(seed))

  it("of a seed is that of ssb-keys", () => {
    assertSsbPair(pair, ssbKeys.generate("ed25519", Buffer.from(seed)))
    assert.deepStrictEqual(secretKey.subarray(0, 32), seed)
    assert.deepStrictEqual(secretKey.slice(32), Uint8Array.from(pair.publicKey))
  })

  it("does not show its secret half", () => {
    assertNoSecret(pair)
    assert.match(util.inspect(pair), /<redacted:secret key>/)
  })

  it.effect("is another one each time", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* Identity.generate, yield* Identity.generate]
      assert.notDeepEqual(one.publicKey, two.publicKey)
      assertSamePair(Identity.fromSeed(primitives, Redacted.make(Redacted.value(one.secretKey).slice(0, 32))), one)
    }).pipe(Effect.provide(layer))
  )

  it("signs what ssb-keys verifies, and the other way round", () => {
    const message = new TextEncoder().encode("hello")
    const theirs = ssbKeys.generate("ed25519", Buffer.from(seed))
    const signature = base64(primitives.sign(message, secretKey))
    assert.isTrue(ssbKeys.verify({ public: `${publicKey}.ed25519` }, `${signature}.sig.ed25519`, "hello"))
    assert.strictEqual(ssbKeys.sign(theirs, "hello"), `${signature}.sig.ed25519`)
  })
})

// -----------------------------------------------------------------------------
// files
// -----------------------------------------------------------------------------

layer(NodeServices.layer)("a secret file", (it) => {
  it.effect("of ours is read by ssb-keys", () =>
    Effect.gen(function* () {
      const { path } = yield* workspace
      yield* Identity.save(path, pair)
      const keys = ssbKeys.loadSync(path)
      assertSsbPair(pair, keys)
      assert.strictEqual(keys.id, `@${publicKey}.ed25519`)
      assert.strictEqual(keys.curve, "ed25519")
      assertSamePair(yield* Identity.load(path), pair)
    })
  )

  it.effect("of ssb-keys is read by us", () =>
    Effect.gen(function* () {
      const { path } = yield* workspace
      const keys = ssbKeys.createSync(path)
      assertSsbPair(yield* Identity.load(path), keys)
    })
  )

  it.effect("of ssb-keys' old form, the private key alone, is read by us", () =>
    Effect.gen(function* () {
      const { fs, path } = yield* workspace
      const keys = ssbKeys.createSync(path, "ed25519", true)
      assert.notInclude(yield* fs.readFileString(path), "{")
      assertSsbPair(yield* Identity.load(path), keys)
    })
  )

  it.effect("is made for its owner alone, and nothing else is left in the directory", () =>
    Effect.gen(function* () {
      const { directory, fs, path } = yield* workspace
      yield* Identity.save(path, pair)
      const { mode, type } = yield* fs.stat(path)
      assert.strictEqual(mode & 0o777, 0o600)
      assert.strictEqual(type, "File")
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["secret"])
    })
  )

  it.effect("is never overwritten", () =>
    Effect.gen(function* () {
      const { directory, fs, path, write } = yield* workspace
      yield* write("anything")
      const error = yield* Effect.flip(Identity.save(path, pair))
      assert.strictEqual(error.reason._tag, "FileFailure")
      assert.match(error.message, /secret: it exists already, and a key is never overwritten/)
      assertNoSecret(error)
      assert.strictEqual(yield* fs.readFileString(path), "anything")
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["secret"])
    })
  )

  it.effect("is not made where there is no directory, or over a directory or a dangling link", () =>
    Effect.gen(function* () {
      const { directory, fs, path } = yield* workspace
      const missing = yield* Effect.flip(Identity.save(`${directory}/missing/secret`, pair))
      assert.match(missing.message, /there is no such file or directory/)
      yield* fs.makeDirectory(path)
      assert.match((yield* Effect.flip(Identity.save(path, pair))).message, /exists already/)
      yield* fs.symlink(`${directory}/nowhere`, `${directory}/link`)
      assert.match((yield* Effect.flip(Identity.save(`${directory}/link`, pair))).message, /exists already/)
      assert.deepStrictEqual([...(yield* fs.readDirectory(directory))].sort(), ["link", "secret"])
    })
  )

  it.effect("is refused when group or others can do anything with it", () =>
    Effect.gen(function* () {
      const { path, write } = yield* workspace
      for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666, 0o777, 0o440]) {
        yield* write(Identity.formatSecretFile(pair), mode)
        const reason = yield* failure(path)
        assert.strictEqual(reason._tag, "Exposed")
        assert.include(reason.message, `its mode is 0${mode.toString(8)}`)
        assert.include(reason.message, "chmod 600")
      }
      for (const mode of [0o600, 0o400, 0o700]) {
        yield* write(Identity.formatSecretFile(pair), mode)
        assertSamePair(yield* Identity.load(path), pair)
      }
    })
  )

  it.effect("of another user is refused, and one of root is not", () =>
    Effect.gen(function* () {
      const { fs, path, write } = yield* workspace
      const user = process.geteuid?.() ?? 0
      yield* write(Identity.formatSecretFile(pair))
      // To give a file away takes root. Who is not root looks as somebody else instead.
      if (user === 0) yield* fs.chown(path, 12_345, 12_345)
      else vi.spyOn(process, "geteuid").mockReturnValue(user + 1)
      const reason = yield* Effect.ensuring(
        failure(path),
        Effect.sync(() => vi.restoreAllMocks())
      )
      assert.strictEqual(reason._tag, "NotOwned")
      assert.include(reason.message, user === 0 ? "uid 12345" : `uid ${user}`)
      if (user !== 0) return
      yield* fs.chown(path, 0, 0)
      vi.spyOn(process, "geteuid").mockReturnValue(12_345)
      const loaded = yield* Effect.ensuring(
        Identity.load(path),
        Effect.sync(() => vi.restoreAllMocks())
      )
      assertSamePair(loaded, pair)
    })
  )

  it.effect("is refused through a symbolic link, and read in a folder that is one", () =>
    Effect.gen(function* () {
      const { directory, fs, path, write } = yield* workspace
      yield* write(Identity.formatSecretFile(pair))
      yield* fs.symlink(path, `${directory}/link`)
      const reason = yield* failure(`${directory}/link`)
      assert.strictEqual(reason._tag, "Linked")
      assert.include(reason.message, "symbolic link")
      yield* fs.symlink(directory, `${directory}/folder`)
      assertSamePair(yield* Identity.load(`${directory}/folder/secret`), pair)
    })
  )

  it.effect("that is replaced while it is opened is refused", () =>
    Effect.gen(function* () {
      const { directory, fs, path, write } = yield* workspace
      yield* write(Identity.formatSecretFile(pair))
      yield* fs.copyFile(path, `${directory}/other`)
      const swapping = FileSystem.FileSystem.of({
        ...fs,
        open: (file, options) => Effect.tap(fs.open(file, options), () => fs.rename(`${directory}/other`, path))
      })
      const error = yield* Effect.flip(Effect.provideService(Identity.load(path), FileSystem.FileSystem, swapping))
      assert.match(error.message, /replaced while it was opened/)
      assert.isTrue(error.isRetryable)
    })
  )

  it.effect("has no modes and no owner on Windows, where each looks as if all could write it", () =>
    Effect.gen(function* () {
      const { path, write } = yield* workspace
      yield* write(Identity.formatSecretFile(pair), 0o666)
      assert.strictEqual((yield* failure(path))._tag, "Exposed")
      const platform = Object.getOwnPropertyDescriptor(process, "platform") ?? {}
      const loaded = yield* Effect.acquireUseRelease(
        Effect.sync(() => Object.defineProperty(process, "platform", { ...platform, value: "win32" })),
        () => Identity.load(path),
        () => Effect.sync(() => Object.defineProperty(process, "platform", platform))
      )
      assertSamePair(loaded, pair)
    })
  )

  it.effect("that is missing, a directory, a pipe or a device is a typed error", () =>
    Effect.gen(function* () {
      const { directory, fs, path } = yield* workspace
      const missing = yield* failure(path)
      assert.strictEqual(missing._tag, "FileFailure")
      if (missing._tag === "FileFailure") assert.strictEqual(missing.kind, "NotFound")
      yield* fs.makeDirectory(path, { mode: 0o700 })
      const pipe = `${directory}/pipe`
      execFileSync("mkfifo", ["-m", "600", pipe])
      for (const odd of [path, pipe, "/dev/null", "/dev/zero"]) {
        assert.match((yield* failure(odd)).message, /no regular file/)
      }
      assert.strictEqual((yield* failure(`${directory}/a\0b`))._tag, "FileFailure")
    })
  )

  it.effect("over 64 KiB is not read", () =>
    Effect.gen(function* () {
      const { path, write } = yield* workspace
      const text = Identity.formatSecretFile(pair)
      yield* write(text + "\n".repeat(65536 - text.length))
      assertSamePair(yield* Identity.load(path), pair)
      yield* write(text + "\n".repeat(65537 - text.length))
      assert.match((yield* failure(path)).message, /at most 64 KiB/)
      yield* write(new Uint8Array(2 ** 20))
      assert.match((yield* failure(path)).message, /at most 64 KiB/)
    })
  )

  const json = (change: object = {}) =>
    JSON.stringify({
      curve: "ed25519",
      public: `${publicKey}.ed25519`,
      private: `${base64(secretKey)}.ed25519`,
      id: `@${publicKey}.ed25519`,
      ...change
    })

  const forms: ReadonlyArray<readonly [name: string, text: string]> = [
    ["without comments", json()],
    ["with comments at the ends of its lines", `${json().replaceAll(",", ", # a comment\n")}# and { one more`],
    ["with CRLF", `# a\r\n${json()}\r\n# b\r\n`],
    ["with a byte order mark", `\ufeff${json()}`],
    ["without id", json({ id: undefined })],
    ["with an id of another feed format", json({ id: `ssb:feed/bendybutt-v1/${publicKey}` })],
    ["with more in it", json({ more: { nested: [1] } })],
    ["without suffixes", json({ public: publicKey, private: base64(secretKey) })],
    ["of the old form without suffix", `# a\n${base64(secretKey)}\n`]
  ]

  it.effect.each(forms)("%s is read", ([, text]) =>
    Effect.gen(function* () {
      const { path, write } = yield* workspace
      yield* write(text)
      assertSamePair(yield* Identity.load(path), pair)
    })
  )

  const malformed: ReadonlyArray<readonly [name: string, text: string, expected: RegExp]> = [
    ["empty", "", /a JSON object/],
    ["of comments alone", "# nothing\n# here", /a JSON object/],
    ["of binary", "\0\xff\x80{", /a JSON object/],
    ["cut off", json().slice(0, -20), /a JSON object/],
    ["cut off in the private key", json().slice(0, json().indexOf("private") + 40), /a JSON object/],
    ["with a comma too many", json().replace("}", ",}"), /a JSON object/],
    ["of an array", `[${json()}]`, /a JSON object/],
    ["of two objects", `${json()}${json()}`, /a JSON object/],
    ["of another curve", json({ curve: "k256" }), /curve ed25519/],
    ["without curve", json({ curve: undefined }), /curve ed25519/],
    ["without private", json({ private: undefined }), /private/],
    ["whose private is no text", json({ private: [base64(secretKey)] }), /private/],
    ["whose private is too short", json({ private: base64(secretKey.subarray(1)) }), /private to be base64 of 64/],
    ["whose private is the seed alone", json({ private: base64(seed) }), /private to be base64 of 64/],
    ["whose private has junk in it", json({ private: `${base64(secretKey)}!` }), /private to be base64 of 64/],
    ["whose public is none", json({ public: "x" }), /public to be base64 of 32/],
    ["whose public is another's", json({ public: other }), /private to belong to public/],
    ["of the old form, cut off", base64(secretKey).slice(0, 70), /a JSON object/],
    ["of the seed alone", base64(seed), /a JSON object/]
  ]

  it.effect.each(malformed)("%s is malformed, and the error says nothing of it", ([, text, expected]) =>
    Effect.gen(function* () {
      const { path, write } = yield* workspace
      yield* write(text)
      const reason = yield* failure(path)
      assert.strictEqual(reason._tag, "Malformed")
      assert.match(reason.message, expected)
      assertNoSecret(yield* Effect.flip(Identity.parseSecretFile("text", text)))
    })
  )
})

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

for (const { layer: library, library: name } of libraries)
  layer(Layer.merge(NodeServices.layer, library))(`an identity, on ${name},`, (it) => {
    const identity = <E, R>(layer: Layer.Layer<Identity.Identity, E, R>) =>
      Effect.provide(Identity.Identity, Layer.fresh(layer))

    it.effect("comes from a file", () =>
      Effect.gen(function* () {
        const { path } = yield* workspace
        const error = yield* Effect.flip(identity(Identity.layerFile(path)))
        assert.match(error.message, /no such file/)
        yield* Identity.save(path, pair)
        assertSamePair(yield* identity(Identity.layerFile(path)), pair)
      })
    )

    it.effect("comes from a file that is made when there is none, and stays", () =>
      Effect.gen(function* () {
        const { fs, path } = yield* workspace
        const first = yield* identity(Identity.layerFileOrCreate(path))
        assert.strictEqual((yield* fs.stat(path)).mode & 0o777, 0o600)
        assertSamePair(yield* identity(Identity.layerFileOrCreate(path)), first)
        assertSamePair(yield* identity(Identity.layerFile(path)), first)
        assertSsbPair(first, ssbKeys.loadSync(path))
      })
    )

    it.effect("is the same for all who make its file at the same time", () =>
      Effect.gen(function* () {
        const { directory, fs, path } = yield* workspace
        const all = yield* Effect.all(
          Array.from({ length: 16 }, () => identity(Identity.layerFileOrCreate(path))),
          { concurrency: "unbounded" }
        )
        const kept = yield* Identity.load(path)
        for (const each of all) assertSamePair(each, kept)
        assert.deepStrictEqual(yield* fs.readDirectory(directory), ["secret"])
      })
    )

    it.effect("is not made anew when its file can't be used", () =>
      Effect.gen(function* () {
        const { fs, path, write } = yield* workspace
        for (const [text, mode, tag] of [
          ["", 0o600, "Malformed"],
          [Identity.formatSecretFile(pair), 0o640, "Exposed"]
        ] as const) {
          yield* write(text, mode)
          const error = yield* Effect.flip(identity(Identity.layerFileOrCreate(path)))
          assert.strictEqual(error.reason._tag, tag)
          assert.strictEqual(yield* fs.readFileString(path), text)
        }
      })
    )

    const configured = (value: string, name = "MULTISERVER_SECRET") =>
      identity(Configuration.layerIdentity()).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ [name]: value })))
      )

    it.effect("comes from configuration: a seed, or a secret key as in a file", () =>
      Effect.gen(function* () {
        for (const text of [
          base64(seed),
          base64(seed).replace("=", ""),
          base64(seed).replaceAll("+", "-").replaceAll("/", "_"),
          base64(secretKey),
          `${base64(secretKey)}.ed25519`
        ]) {
          assertSamePair(yield* configured(text), pair)
        }
      })
    )

    it.effect("does not come from configuration that is missing, malformed, or of two keys", () =>
      Effect.gen(function* () {
        const missing = yield* Effect.flip(configured(base64(seed), "ELSEWHERE"))
        assert.strictEqual(missing._tag, "ConfigError")
        assertNoSecret(missing)
        const mixed = Uint8Array.from([...seed, ...Uint8Array.from({ length: 32 })])
        for (const text of ["x", hex(seed), base64(secretKey).slice(0, 60), `${base64(seed)}!`, base64(mixed)]) {
          const error = yield* Effect.flip(configured(text))
          assert.strictEqual(error._tag, "IdentityError")
          if (error._tag === "IdentityError") assert.strictEqual(error.reason._tag, "Malformed")
          assert.match(error.message, /identity MULTISERVER_SECRET: not a secret key: expected/)
          assertNoSecret(error)
        }
      })
    )

    it.effect("is ephemeral: another one with each layer", () =>
      Effect.gen(function* () {
        const one = yield* identity(Identity.layerEphemeral)
        const two = yield* identity(Identity.layerEphemeral)
        assert.notDeepEqual(one.publicKey, two.publicKey)
        const message = new Uint8Array([1])
        const { sign, verify } = yield* Primitives
        assert.isTrue(verify(sign(message, Redacted.value(one.secretKey)), message, one.publicKey))
      })
    )
  })
