/** What each command reads from the environment, and what it refuses there. */
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Command, type Variable, variables } from "../../src/variables.ts"
import { inside, listenInside, startInside } from "./inside.ts"
import { eventsOf, folder } from "./support.ts"

/** An invocation of each command that would do something. Nothing listens at port 1. */
const invocations: Readonly<Record<Command, (directory: string) => ReadonlyArray<string>>> = {
  keygen: (directory) => ["keygen", "--output", `${directory}/key`],
  listen: () => ["listen", "net:127.0.0.1:0"],
  connect: () => ["connect", "net:127.0.0.1:1"],
  bridge: () => ["bridge", "net:127.0.0.1:0", "net:127.0.0.1:1"],
  probe: () => ["probe", "net:127.0.0.1:1"],
  tracker: () => ["tracker", "net:127.0.0.1:0~shs"],
  record: (directory) => ["record", "net:127.0.0.1:1~shs", "--key-file", `${directory}/none`],
  address: () => ["address", "net:127.0.0.1:1"]
}
const commands = Object.entries(invocations)

const tls = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** How a command ends in this environment: the error that it says, or `undefined` once it does its work. */
const refusal = (command: string, env: Record<string, string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const [, invocation] = commands.find(([name]) => name === command) ?? []
      const own = yield* startInside([...(invocation?.(yield* folder) ?? []), "--json"], { env })
      if (["listen", "bridge", "tracker"].includes(command)) {
        // It says where it listens, or ends.
        yield* Effect.exit(own.address)
        yield* own.interrupt
      }
      const { code, stderr } = yield* own.exit
      const error = eventsOf(stderr).find(({ event, tag }) => event === "error" && tag === "UsageError")
      if (error !== undefined) assert.strictEqual(code, 2)
      return error
    })
  )

const all: ReadonlyArray<Variable> = Object.values(variables)

describe.each(commands)("%s", (command) => {
  it.live("refuses a variable that nobody knows, and names it", () =>
    Effect.gen(function* () {
      const error = yield* refusal(command, { MULTISERVER_DIAL_DENY_PRIVAT: "true" })
      assert.deepInclude(error, { reason: "BadVariable" })
      assert.include(error?.message, "MULTISERVER_DIAL_DENY_PRIVAT: there is no such variable")
    })
  )

  // An address comes before the variable, which is read only where there is none.
  const mine = all.filter(({ commands, form }) => form !== "address" && commands.some((each) => each === command))
  const others = all.filter(({ commands, form }) => form !== "secret" && !commands.some((each) => each === command))

  it.live("refuses each variable that it reads when that can't be read or is empty, and names it", () =>
    Effect.gen(function* () {
      for (const { form, name } of mine) {
        // Any text is the path of a file: what is wrong with the files is tested below.
        for (const text of form === "file" ? [""] : ["banana", ""]) {
          const error = yield* refusal(command, { [name]: text })
          assert.deepInclude(error, { reason: "BadVariable" }, name)
          assert.include(error?.message, `${name}: `)
        }
      }
    })
  )

  it.live("does not look at those of other commands", () =>
    Effect.gen(function* () {
      assert.isUndefined(yield* refusal(command, Object.fromEntries(others.map(({ name }) => [name, "banana"]))))
    })
  )

  it.live("takes no key from a variable", () =>
    Effect.gen(function* () {
      const error = yield* refusal(command, { MULTISERVER_SECRET: Buffer.alloc(32, 7).toString("base64") })
      assert.deepInclude(error, { reason: "BadVariable" })
      assert.include(error?.message, "MULTISERVER_SECRET: ")
      assert.include(error?.message, "--key-file")
    })
  )
})

describe("a command", () => {
  const reasonOf = (args: ReadonlyArray<string>, env: Record<string, string>) =>
    Effect.map(inside([...args, "--json"], { env }), ({ code, stderr }) => {
      const { reason } = eventsOf(stderr).findLast(({ event }) => event === "error") ?? {}
      return { code, reason }
    })

  it.live("dials nothing that the environment denies: connect, probe", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0", "--echo")
      for (const command of ["connect", "probe"]) {
        for (const env of [
          { MULTISERVER_DIAL_DENY_PRIVATE: "true" },
          { MULTISERVER_DIAL_DENY: "127.0.0.0/8" },
          { MULTISERVER_DIAL_ALLOW: "203.0.113.0/24" }
        ]) {
          assert.deepStrictEqual(yield* reasonOf([command, address], env), { code: 2, reason: "DeniedByPolicy" })
        }
        assert.strictEqual((yield* reasonOf([command, address], { MULTISERVER_DIAL_ALLOW: "127.0.0.1" })).code, 0)
      }
    })
  )

  it.live("dials nothing that the environment denies, and lets nobody in whom it denies: bridge", () =>
    Effect.gen(function* () {
      const { address: there } = yield* listenInside("net:127.0.0.1:0", "--echo")
      const through = (env: Record<string, string>) =>
        Effect.scoped(
          Effect.gen(function* () {
            const bridge = yield* startInside(["bridge", "net:127.0.0.1:0", there, "--json"], { env })
            yield* inside(["connect", yield* bridge.address])
            yield* bridge.interrupt
            return eventsOf((yield* bridge.exit).stderr).map(({ event, reason }) => [event, reason])
          })
        )
      const denied = yield* through({ MULTISERVER_DIAL_DENY_PRIVATE: "true" })
      assert.deepInclude(denied, ["dial-failed", "DeniedByPolicy"])
      const refused = yield* through({ MULTISERVER_ACCEPT_DENY: "127.0.0.0/8" })
      assert.deepInclude(refused, ["refused", "DeniedByPolicy"])
    })
  )

  it.live("lets nobody in whom the environment denies: listen", () =>
    Effect.gen(function* () {
      for (const env of [{ MULTISERVER_ACCEPT_DENY: "127.0.0.0/8" }, { MULTISERVER_ACCEPT_ALLOW: "203.0.113.0/24" }]) {
        const listener = yield* startInside(["listen", "--echo", "--json", "net:127.0.0.1:0"], { env })
        yield* inside(["connect", yield* listener.address])
        assert.deepInclude(yield* listener.event("refused"), { reason: "DeniedByPolicy" })
      }
    })
  )

  it.live("believes the proxies of the environment: listen", () =>
    Effect.gen(function* () {
      const env = { MULTISERVER_TRUSTED_PROXIES: "127.0.0.1" }
      const listener = yield* startInside(["listen", "--echo", "--json", "net:127.0.0.1:0"], { env })
      // What is no proxy has no header.
      yield* inside(["connect", yield* listener.address], { input: "no header" })
      assert.deepInclude(yield* listener.event("refused"), { reason: "ProxyHeader" })
    })
  )

  it.live("is of the network of the environment, and a flag comes before it", () =>
    Effect.gen(function* () {
      const [own, other] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString("base64")) as [string, string]
      const listener = yield* startInside(["listen", "--echo", "--json", "net:127.0.0.1:0~shs"], {
        env: { MULTISERVER_APP_KEY: own }
      })
      const connect = ["connect", yield* listener.address]
      const code = (args: ReadonlyArray<string>, env: Record<string, string>) =>
        Effect.map(reasonOf([...connect, ...args], env), ({ code }) => code)
      assert.strictEqual(yield* code([], { MULTISERVER_APP_KEY: own }), 0)
      assert.strictEqual(yield* code([], { MULTISERVER_APP_KEY: other }), 5)
      assert.strictEqual(yield* code([], {}), 5)
      assert.strictEqual(yield* code(["--app-key", own], { MULTISERVER_APP_KEY: other }), 0)
    })
  )

  it.live("has the key, the allowed keys and the files for wss of the environment, and flags come before them", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const made = (name: string) =>
        Effect.map(inside(["keygen", "--output", `${directory}/${name}`]), ({ stdout }) => ({
          file: `${directory}/${name}`,
          key: `${stdout}`.trim()
        }))
      const own = yield* made("own")
      const other = yield* made("other")
      const tlsKey = `${directory}/tls.key`
      fs.writeFileSync(tlsKey, fs.readFileSync(tls("server.key")), { mode: 0o600 })
      const env = {
        MULTISERVER_KEY_FILE: own.file,
        MULTISERVER_ALLOWED_KEYS: other.key,
        MULTISERVER_TLS_KEY_FILE: tlsKey,
        MULTISERVER_TLS_CERT_FILE: tls("server.crt"),
        MULTISERVER_TLS_CA_FILE: tls("ca.crt")
      }
      const listener = yield* startInside(["listen", "--echo", "--json", "wss://127.0.0.1:0~shs"], { env })
      const address = yield* listener.address
      assert.include(address, `~shs:${own.key}`)
      const code = (args: ReadonlyArray<string>, env: Record<string, string>) =>
        Effect.map(reasonOf(["connect", address, ...args], env), ({ code }) => code)
      assert.strictEqual(yield* code([], { ...env, MULTISERVER_KEY_FILE: other.file }), 0)
      assert.strictEqual(yield* code(["--key-file", other.file, "--tls-ca", tls("ca.crt")], env), 0)
      assert.strictEqual(yield* code([], env), 6)
      const trusting = { MULTISERVER_KEY_FILE: other.file }
      assert.strictEqual(yield* code([], trusting), 5)
      const { MULTISERVER_ALLOWED_KEYS: allowed } = env
      for (const [args, own, reason] of [
        [["listen", "net:127.0.0.1:0"], { MULTISERVER_ALLOWED_KEYS: allowed }, "Conflict"],
        [["listen", "wss://127.0.0.1:0~shs"], { ...env, MULTISERVER_TLS_CERT_FILE: "absent" }, "BadVariable"],
        [["connect", address], { MULTISERVER_TLS_CA_FILE: "absent" }, "BadVariable"],
        [["connect", address], { MULTISERVER_KEY_FILE: "absent" }, "FileFailure"]
      ] as const) {
        const { stderr } = yield* inside([...args, "--json"], { env: own })
        const error = eventsOf(stderr).findLast(({ event }) => event === "error")
        assert.deepInclude(error, { reason })
        assert.match(error?.message ?? "", /MULTISERVER_(ALLOWED_KEYS|TLS_CERT_FILE|TLS_CA_FILE|KEY_FILE): /)
      }
    })
  )

  it.live("lets in only the web pages of the environment: listen", () =>
    Effect.gen(function* () {
      const env = { MULTISERVER_ORIGINS: "https://app.example" }
      const listener = yield* startInside(["listen", "--echo", "--json", "ws://127.0.0.1:0~shs"], { env })
      const from = (origin: string) =>
        Effect.flatMap(listener.address, (address) => reasonOf(["connect", address, "--origin", origin], {}))
      assert.strictEqual((yield* from("https://app.example")).code, 0)
      assert.notStrictEqual((yield* from("https://evil.example")).code, 0)
    })
  )

  it.live("names MULTISERVER_ADDRESS when that is no address, and shows nothing of it", () =>
    Effect.gen(function* () {
      for (const command of ["address", "connect", "probe", "listen"]) {
        const { code, stderr } = yield* inside([command, "--json"], {
          env: { MULTISERVER_ADDRESS: "net:h:1~shs:hunter2hunter2" }
        })
        assert.strictEqual(code, 2)
        assert.deepInclude(eventsOf(stderr)[0], { tag: "UsageError", reason: "BadVariable" })
        assert.include(eventsOf(stderr)[0]?.message, "MULTISERVER_ADDRESS: ")
        assert.notInclude(stderr, "hunter2")
      }
    })
  )
})
