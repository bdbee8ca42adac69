import { readFileSync, statSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { inside, listenInside } from "./inside.ts"
import { eventsOf, folder, run } from "./support.ts"

const ssbKeys: { readonly loadSync: (path: string) => { readonly public: string; readonly private: string } } =
  createRequire(import.meta.url)("ssb-keys")

describe.concurrent("multiserver keygen", () => {
  it.live("makes a secret file that only its owner can read, and prints the public key", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "key")
      const { code, stderr, stdout } = yield* run(["keygen", "--output", file])
      assert.strictEqual(code, 0)
      assert.match(String(stdout), /^[A-Za-z0-9+/]{43}=\n$/)
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      const keys = ssbKeys.loadSync(file)
      assert.strictEqual(keys.public, `${String(stdout).trim()}.ed25519`)
      assert.notInclude(stderr, keys.private.slice(0, 20))
    })
  )

  it.live("makes ./secret when no file is named", () =>
    Effect.gen(function* () {
      const cwd = yield* folder
      const { code, stderr, stdout } = yield* run(["keygen", "--json"], { cwd })
      assert.strictEqual(code, 0)
      const [created, ...more] = eventsOf(stderr)
      assert.strictEqual(created?.event, "created")
      assert.lengthOf(more, 0)
      assert.include(readFileSync(join(cwd, "secret"), "utf8"), String(stdout).trim())
    })
  )

  it.live("never overwrites a file", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "key")
      writeFileSync(file, "mine")
      const { code, stderr, stdout } = yield* inside(["keygen", "--json", "--output", file])
      assert.strictEqual(code, 1)
      assert.strictEqual(String(stdout), "")
      const [error] = eventsOf(stderr)
      assert.deepInclude(error, { event: "error", tag: "IdentityError", reason: "FileFailure" })
      assert.strictEqual(readFileSync(file, "utf8"), "mine")
    })
  )

  it.live("makes the key that listen --key-file speaks as", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "key")
      const { stdout } = yield* inside(["keygen", "--output", file])
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--key-file", file)
      assert.match(address, /^net:127\.0\.0\.1:[1-9]\d*~shs:/)
      assert.strictEqual(address.split("~shs:")[1], String(stdout).trim())
    })
  )
})
