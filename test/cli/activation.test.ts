/** The command with sockets that the program that starts it has bound: docs/cli.md, *Socket activation*. */
import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { inside, startInside } from "./inside.ts"
import { eventsOf, folder, privateCopy, type Run, run, start } from "./support.ts"

const parent = fileURLToPath(new URL("../support/activate.mjs", import.meta.url))
const tls = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

interface Bind {
  readonly host?: string
  readonly path?: string
  readonly mode?: number
  readonly kind?: "connection" | "file"
}

/** How a shell starts the command with these sockets. */
const activated = (bind: ReadonlyArray<Bind>, runs = 1, env: Record<string, string> = {}) => ({
  shell: `exec "${process.execPath}" "${parent}" '${JSON.stringify({ bind, runs, env })}' "$@"`
})

/** The address of a listener that begins so, from this device. */
const addressOf = (listener: Run, protocol: string): Effect.Effect<string> =>
  Effect.map(
    listener.event("listening"),
    ({ addresses = [] }) => addresses.find((each) => each.startsWith(protocol)) ?? ""
  )

/** What an echo answers, and how the command that asks it ends. */
const echoed = (address: string) => {
  const trusting = address.startsWith("wss") ? ["--tls-ca", tls("ca.crt")] : []
  // The answer to a WebSocket's request may have to wait until the command has started.
  const args = ["connect", "--json", "--timeout", "10m", ...trusting, address]
  return Effect.map(inside(args, { input: "hello" }), ({ code, stdout }) => [String(stdout), code])
}

/** An inherited socket of each transport, with an address that names it. */
const eachTransport = Effect.gen(function* () {
  const cwd = yield* folder
  const path = join(cwd, "socket")
  const key = yield* privateCopy(tls("server.key"))
  return {
    path,
    bind: [{ host: "::" }, { host: "127.0.0.1" }, { host: "127.0.0.1" }, { path, mode: 0o600 }],
    args: [
      ...["listen", "--json", "--echo", "--tls-key", key, "--tls-cert", tls("server.crt")],
      ...["net:0.0.0.0:{0}~shs", "ws://127.0.0.1:{1}/here~shs", "wss://localhost:{2}~shs", `unix:${path}~shs`]
    ]
  }
})
const protocols = ["net:localhost:", "ws://", "wss://", "unix:"] as const

describe("listen with inherited sockets", () => {
  it.live("takes the one that each address names: net, ws, wss and unix", () =>
    Effect.gen(function* () {
      const { args, bind } = yield* eachTransport
      // Whatever the program that starts it keeps bound could not be bound again.
      const listener = yield* start(args, activated(bind))
      for (const protocol of protocols) {
        const address = yield* addressOf(listener, protocol)
        assert.deepStrictEqual(yield* echoed(address), ["hello", 0], address)
      }
      // systemd's wildcard takes IPv6 and IPv4.
      const dual = yield* addressOf(listener, "net:localhost:")
      for (const host of ["127.0.0.1", "::1"]) {
        assert.deepStrictEqual(yield* echoed(dual.replace("localhost", host)), ["hello", 0], host)
      }
      yield* listener.kill("SIGTERM")
      assert.strictEqual((yield* listener.exit).code, 0)
    })
  )

  it.live("refuses nobody while it restarts: what arrives then is served by the next run", () =>
    Effect.gen(function* () {
      const { args, bind, path } = yield* eachTransport
      const key = join(path, "../secret")
      yield* inside(["keygen", "--output", key])
      const listener = yield* start([...args, "--key-file", key], activated(bind, 2))
      const open = yield* startInside(["connect", "--json", "--recv-only", yield* addressOf(listener, "unix:")])
      yield* listener.event("connected")
      const addresses = yield* Effect.forEach(protocols, (protocol) => addressOf(listener, protocol))
      yield* listener.kill("SIGTERM")
      // The goodbye of the first run comes when it listens no more.
      assert.strictEqual((yield* open.exit).code, 0)
      const answers = yield* Effect.forEach(addresses, echoed, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        answers,
        protocols.map(() => ["hello", 0])
      )
      yield* listener.kill("SIGTERM")
      const { code, stderr } = yield* listener.exit
      assert.strictEqual(code, 0)
      assert.lengthOf(
        eventsOf(stderr).filter(({ event }) => event === "listening"),
        2
      )
    })
  )

  it.live("has the policy and the limits of any listener, and trusts no socket that others can connect to", () =>
    Effect.gen(function* () {
      const { args, bind, path } = yield* eachTransport
      const shared = `${path}-shared`
      const denied = { MULTISERVER_ACCEPT_DENY: "127.0.0.0/8, ::1", MULTISERVER_CONNECTIONS: "2" }
      const listener = yield* start([...args, `unix:${shared}~shs`], {
        ...activated([...bind, { path: shared, mode: 0o666 }]),
        env: denied
      })
      const key = /:[^:]*$/.exec(yield* addressOf(listener, "unix:"))?.[0]
      const tcp = yield* Effect.forEach(protocols.slice(0, 3), (protocol) => addressOf(listener, protocol))
      const others = [...tcp.map((each) => each.replace("localhost", "127.0.0.1")), `unix:${shared}~shs${key}`]
      for (const address of others) {
        const [answer] = yield* echoed(address)
        assert.strictEqual(answer, "", address)
      }
      // This user's own socket has no IP, and is let in.
      const own = `unix:${path}~shs${key}`
      const held = yield* Effect.forEach([1, 2], () => startInside(["connect", "--json", own]))
      for (const each of held) {
        yield* each.write("x")
        yield* each.received(1)
      }
      assert.strictEqual((yield* echoed(own))[0], "")
      for (const each of held) yield* each.end()
      yield* listener.kill("SIGTERM")
      const { stderr } = yield* listener.exit
      const refused: Record<string, number> = {}
      for (const line of stderr.trim().split("\n")) {
        const { count, event, reason, source } = JSON.parse(line)
        const which = `${source} ${reason}`
        if (event === "refused") refused[which] = (refused[which] ?? 0) + count
      }
      assert.deepStrictEqual(refused, {
        "127.0.0.1 DeniedByPolicy": tcp.length,
        "null DeniedByPolicy": 1,
        "null TooManyConnections": 1
      })
    })
  )

  it.live("names the socket that no address names, and exits 2", () =>
    Effect.gen(function* () {
      const args = ["listen", "--json", "net:127.0.0.1:{0}~shs"]
      const { code, stderr } = yield* run(args, activated([{ host: "::" }]))
      const [error] = eventsOf(stderr)
      assert.strictEqual(code, 2)
      assert.deepInclude(error, { event: "error", tag: "InheritedSocketsError", reason: "Unnamed" })
      assert.match(error?.message ?? "", /descriptor 3 .* bound to \[::\]:\d+, .* listen on net:\[::\]:\d+/)
    })
  )

  it.live("names a variable that it can't read, and exits 2, as bridge does", () =>
    Effect.gen(function* () {
      const bad = activated([{ host: "127.0.0.1" }], 1, { LISTEN_FDS: "one" })
      const { code, stderr } = yield* run(["bridge", "--json", "net:127.0.0.1:{0}~shs", "net:127.0.0.1:1"], bad)
      assert.strictEqual(code, 2)
      assert.deepInclude(eventsOf(stderr)[0], {
        reason: "BadVariable",
        message: "LISTEN_FDS: it takes the number of inherited sockets"
      })
    })
  )

  it.live("exits 1 when it gets a connection instead of a socket that listens", () =>
    Effect.gen(function* () {
      const accepted = activated([{ host: "127.0.0.1", kind: "connection" }])
      const { code, stderr } = yield* run(["listen", "--json", "net:127.0.0.1:8008~shs"], accepted)
      assert.strictEqual(code, 1)
      assert.deepInclude(eventsOf(stderr)[0], { tag: "InheritedSocketsError", reason: "NotListening" })
      assert.include(stderr, "Accept=no")
    })
  )

  it.live("ignores variables that are for another process", () =>
    Effect.gen(function* () {
      const env = { LISTEN_PID: String(process.pid), LISTEN_FDS: "1" }
      const listener = yield* start(["listen", "--json", "--echo", "net:127.0.0.1:0~shs"], { env })
      assert.deepStrictEqual(yield* echoed(yield* listener.address), ["hello", 0])
    })
  )
})

const has = (tool: string): boolean => Result.isSuccess(Result.try(() => execFileSync(tool, ["--version"])))
const tool = "systemd-socket-activate"

describe.skipIf(!has("systemd-analyze"))("the units of docs/cli.md", () => {
  it.effect("are right, as systemd-analyze verify says", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const text = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8")
      const units = [...text.matchAll(/```ini (\S+)\n([\s\S]*?)```/g)].map(([, name = "", unit = ""]) => {
        const path = join(directory, name)
        // systemd looks whether the program is there.
        writeFileSync(path, unit.replace(/\/opt\S+\/multiserver/, process.execPath))
        return path
      })
      assert.lengthOf(units, 2)
      assert.strictEqual(execFileSync("systemd-analyze", ["verify", ...units], { encoding: "utf8" }), "")
    })
  )
})

describe.skipIf(!has(tool))(tool, () => {
  /** A port that is free now. */
  const freePort = Effect.callback<number>((resume) => {
    const server = net.createServer().listen(0, "::", () => {
      const address = server.address()
      server.close(() => resume(Effect.succeed(typeof address === "object" ? (address?.port ?? 0) : 0)))
    })
  })

  it.live("starts the command at the first connection, with a port and a path", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const path = join(directory, "socket")
      const key = join(directory, "secret")
      const port = yield* freePort
      const { stdout } = yield* inside(["keygen", "--output", key])
      const listener = yield* start(
        ["listen", "--json", "--echo", "--key-file", key, `net:0.0.0.0:${port}~shs`, `unix:${path}~shs`],
        { shell: `exec ${tool} -l ${port} -l ${path} "$@"` }
      )
      yield* listener.lines(2)
      const publicKey = String(stdout).trim()
      for (const address of [`unix:${path}~shs:${publicKey}`, `net:127.0.0.1:${port}~shs:${publicKey}`]) {
        assert.deepStrictEqual(yield* echoed(address), ["hello", 0], address)
      }
      yield* listener.kill("SIGTERM")
      assert.strictEqual((yield* listener.exit).code, 0)
    })
  )
})
