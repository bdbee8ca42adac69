/**
 * How keys reach the command: by files that are this user's own, by descriptors, by stdin, by systemd's credentials.
 */
import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { inside, startInside } from "./inside.ts"
import { eventsOf, folder } from "./support.ts"

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** A folder with a secret file, and the public key of it. */
const withKey = Effect.gen(function* () {
  const directory = yield* folder
  const file = join(directory, "secret")
  const { stdout } = yield* inside(["keygen", "--output", file])
  return { directory, file, text: fs.readFileSync(file, "utf8"), key: String(stdout).trim() }
})

/** Opens a file, and gives the path of its descriptor. */
const opened = (file: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => fs.openSync(file, "r")),
      (fd) => Effect.sync(() => fs.closeSync(fd))
    ),
    (fd) => `/dev/fd/${fd}`
  )

/** The public key that a listener has, or its error. */
const keyOf = (
  args: ReadonlyArray<string>,
  options: { readonly env?: Record<string, string>; readonly input?: string } = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const listener = yield* startInside(["listen", "net:127.0.0.1:0~shs", "--echo", "--json", ...args], options)
      yield* listener.end(options.input)
      yield* Effect.exit(listener.address)
      yield* listener.interrupt
      const [first] = eventsOf((yield* listener.exit).stderr)
      return first?.addresses?.[0]?.split("~shs:")[1] ?? `${first?.tag} ${first?.reason}: ${first?.message}`
    })
  )

describe("--key-file", () => {
  it.live("is read from stdin, where stdin is not for the peer", () =>
    Effect.gen(function* () {
      const { key, text } = yield* withKey
      for (const file of ["-", "/dev/stdin", "/dev/fd/0"]) {
        assert.strictEqual(yield* keyOf(["--key-file", file], { input: text }), key)
      }
      assert.include(yield* keyOf(["--key-file", "-"], { input: "no key" }), "IdentityError Malformed")
      assert.include(yield* keyOf(["--key-file", "-"], { input: " ".repeat(2 ** 21) }), "LocalError TooLong")
    })
  )

  it.live("is refused from stdin, where that is what the peer gets, with a way that works", () =>
    Effect.gen(function* () {
      const { text } = yield* withKey
      for (const command of ["connect net:127.0.0.1:1", "listen net:127.0.0.1:0"]) {
        for (const flag of ["--key-file", "--app-key-file", "--tls-key"]) {
          const { code, stderr } = yield* inside([...command.split(" "), flag, "-", "--json"], { input: text })
          assert.strictEqual(code, 2)
          assert.deepInclude(eventsOf(stderr)[0], { tag: "UsageError", reason: "Conflict" })
          assert.include(eventsOf(stderr)[0]?.message, `${flag} /dev/fd/3 3<FILE`)
        }
      }
    })
  )

  it.live("is read from a descriptor whatever the mode of its file, since somebody has opened it for the command", () =>
    Effect.gen(function* () {
      const { directory, file, key } = yield* withKey
      fs.chmodSync(file, 0o444)
      assert.include(yield* keyOf(["--key-file", file]), "IdentityError Exposed")
      assert.strictEqual(yield* keyOf(["--key-file", yield* opened(file)]), key)
      fs.symlinkSync(file, join(directory, "link"))
      assert.strictEqual(yield* keyOf(["--key-file", yield* opened(join(directory, "link"))]), key)
      assert.include(yield* keyOf(["--key-file", "/dev/fd/999"]), "LocalError EBADF")
    })
  )

  it.live("is read from a descriptor that a process inherits", () =>
    Effect.gen(function* () {
      const { file, key } = yield* withKey
      const command = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url))
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const fd = fs.openSync(file, "r")
          const args = [command, "listen", "net:127.0.0.1:0~shs", "--echo", "--key-file", "/dev/fd/3"]
          const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe", fd] })
          fs.closeSync(fd)
          return child
        }),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const said = yield* Effect.callback<string>((resume) => {
        let text = ""
        child.stderr?.on("data", (chunk) => {
          text += chunk
          if (text.endsWith("\n")) resume(Effect.succeed(text))
        })
      })
      assert.include(said, `~shs:${key}`)
    })
  )

  it.live("is read from systemd's credentials, whose modes and owner are not this user's", () =>
    Effect.gen(function* () {
      const { directory, file, key } = yield* withKey
      fs.chmodSync(file, 0o440)
      const env = { CREDENTIALS_DIRECTORY: directory }
      assert.strictEqual(yield* keyOf(["--key-file", file], { env }), key)
      assert.include(yield* keyOf(["--key-file", join(directory, "absent")], { env }), "IdentityError FileFailure")
      // Only what lies in there.
      const below = join(directory, "below")
      fs.mkdirSync(below)
      fs.copyFileSync(file, join(below, "secret"))
      assert.include(yield* keyOf(["--key-file", join(below, "secret")], { env }), "IdentityError Exposed")
      const elsewhere = { CREDENTIALS_DIRECTORY: below }
      assert.include(yield* keyOf(["--key-file", file], { env: elsewhere }), "IdentityError Exposed")
    })
  )

  it.live("is refused through a symbolic link", () =>
    Effect.gen(function* () {
      const { directory, file } = yield* withKey
      const link = join(directory, "link")
      fs.symlinkSync(file, link)
      assert.include(yield* keyOf(["--key-file", link]), "IdentityError Linked")
    })
  )
})

describe("--tls-key", () => {
  const listen = (key: string) =>
    Effect.scoped(
      Effect.gen(function* () {
        const args = ["listen", "wss://127.0.0.1:0~shs", "--echo", "--json", "--tls-cert", fixture("server.crt")]
        const listener = yield* startInside([...args, "--tls-key", key])
        yield* Effect.exit(listener.address)
        yield* listener.interrupt
        const [first] = eventsOf((yield* listener.exit).stderr)
        return first?.event === "listening" ? "listening" : `${first?.tag} ${first?.reason}: ${first?.message}`
      })
    )

  it.live("is refused as a key file is, and read by a descriptor", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const file = join(directory, "key.pem")
      fs.copyFileSync(fixture("server.key"), file)
      for (const mode of [0o666, 0o640, 0o604]) {
        fs.chmodSync(file, mode)
        const said = yield* listen(file)
        assert.include(said, "LocalError Exposed")
        assert.include(said, `its mode is 0${mode.toString(8)}`)
        assert.include(said, "or give it as a descriptor: --tls-key /dev/fd/3 3<FILE")
        assert.include(said, file)
      }
      assert.strictEqual(yield* listen(yield* opened(file)), "listening")
      fs.chmodSync(file, 0o600)
      assert.strictEqual(yield* listen(file), "listening")
      fs.symlinkSync(file, join(directory, "link"))
      assert.include(yield* listen(join(directory, "link")), "LocalError Linked")
    })
  )
})

describe("--app-key-file and --address-file", () => {
  it.live("are read from a descriptor and from stdin, too", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "value")
      const appKey = Buffer.alloc(32, 5).toString("base64")
      fs.writeFileSync(file, `${appKey}\n`)
      const bad = yield* keyOf(["--app-key-file", "-"], { input: "short" })
      assert.include(bad, "UsageError BadValue")
      assert.notInclude(yield* keyOf(["--app-key-file", yield* opened(file)]), "Error")
      assert.notInclude(yield* keyOf(["--app-key-file", "-"], { input: appKey }), "Error")
      const { stdout } = yield* inside(["address", "--address-file", "-"], { input: "net:h:1\n" })
      assert.include(String(stdout), "net:h:1")
    })
  )
})

it.live("a file of an address may be a named pipe", () =>
  Effect.gen(function* () {
    const file = join(yield* folder, "pipe")
    execFileSync("mkfifo", [file])
    const reading = yield* Effect.forkChild(inside(["address", "--address-file", file]), { startImmediately: true })
    yield* Effect.promise(() => fs.promises.writeFile(file, "net:h:1\n"))
    const { code, stdout } = yield* Fiber.join(reading)
    assert.strictEqual(code, 0)
    assert.match(String(stdout), /^net:h:1\n/)
  })
)
