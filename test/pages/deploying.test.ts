/** docs/deploying.md: its units, images and commands, as processes. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Identity from "../../src/Identity.ts"
import { inside } from "../cli/inside.ts"
import { hasPlatform } from "../support/nodes.ts"
import { primitives } from "../support/primitives.ts"
import { pattern } from "../support/servers.ts"
import { block } from "./page.ts"
import { type Machine, machine, ran } from "./shell.ts"

const page = "docs/deploying.md"
const command = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url))
const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** A server of TCP for the test, and its port. */
const tcp = (onSocket: (socket: net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: net.Server; readonly port: number }>((resume) => {
      const server = net.createServer({ allowHalfOpen: true }, (socket) => onSocket(socket.on("error", () => {})))
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed({ server, port: address !== null && typeof address === "object" ? address.port : 0 }))
      })
    }),
    ({ server }) => Effect.sync(() => void server.close())
  ).pipe(Effect.map(({ port }) => port))

/** What stands behind each bridge: it sends back what it gets. */
const database = Effect.map(
  tcp((socket) => socket.pipe(socket)),
  (port) => `net:127.0.0.1:${port}`
)

/** A client that knows nothing of keys. */
const ask = (port: number, question: string) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    net
      .connect(port, "127.0.0.1")
      .on("data", (data) => {
        answer += data
      })
      .on("end", () => resume(Effect.succeed(answer)))
      .end(question)
  })

const somebody = (seed: number) => Identity.fromSeed(primitives, Redacted.make(pattern(32, seed)))
const client = somebody(7)
const clientKey = Identity.formatPublicKey(client.publicKey)

const portOf = (address: string) => Number(/:(\d+)~|:(\d+)$/.exec(address)?.slice(1).find(Boolean))

/** Whether this machine has the program. */
const has = (program: string) => spawnSync(program, ["--version"]).error === undefined

/** The settings of a unit, and the last value of each. */
const settings = (unit: string): ReadonlyMap<string, string> =>
  new Map(
    unit
      .replace(/\\\n\s*/g, "")
      .split("\n")
      .filter((line) => line.includes("="))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])
  )

/** The keys that the units may have. systemd ignores a key that it does not know. */
const keys =
  /^(Description|Wants|After|Type|ExecStart|ExecReload|LoadCredential|DynamicUser|User|AmbientCapabilities|Environment|Restart|RestartPreventExitStatus|WantedBy)$/

/** Installs as the page says, in folders of the machine. */
const installed = Effect.gen(function* () {
  const here = yield* machine
  const [opt, etc] = [path.join(here.folder, "opt"), path.join(here.folder, "etc")]
  const places = { "/opt/multiserver": opt, "/etc/multiserver": etc }
  here.program("multiserver", `#!/bin/sh\nexec node "${command}" "$@"\n`)
  fs.writeFileSync(path.join(here.folder, "client.key"), Identity.formatSecretFile(client), { mode: 0o600 })
  const key = yield* ran(here, block(page, "install", places))
  return { ...here, etc, key, places }
})

/** Writes the files of a unit, and asks systemd what it thinks of them. */
const verified = (here: Machine, files: Readonly<Record<string, string>>) => {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(here.folder, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, text)
    for (const key of settings(text).keys()) assert.match(key, keys)
  }
  if (!has("systemd-analyze")) return
  const { stderr, stdout } = spawnSync("systemd-analyze", ["verify", path.join(here.folder, "multiserver.service")])
  assert.notInclude(`${stdout}${stderr}`, "multiserver")
}

if (!hasPlatform) {
  console.error(`NOT TESTED: the HTTP server of @effect/platform-node fails on Node ${process.version}, so no metrics`)
}

describe(page, () => {
  it.live("systemd: the unit serves the tunnel and the monitor, and a stop is a success; the drop-in reloads", () =>
    Effect.gen(function* () {
      const here = yield* installed
      const target = yield* database
      const words = { ...here.places, CLIENT_KEY: clientKey, "net:127.0.0.1:5432": target }
      const unit = block(page, "multiserver.service", { ...words, "net:0.0.0.0:8008~shs": "net:127.0.0.1:0~shs" })
      const drop = block(page, "wss.conf", { ...words, "wss://0.0.0.0:443~shs": "wss://127.0.0.1:0~shs" })
      verified(here, { "multiserver.service": unit })
      verified(here, { "multiserver.service": unit, "multiserver.service.d/wss.conf": drop })

      // As systemd starts it: with the credential, whose mode and owner are systemd's.
      const credentials = path.join(here.folder, "credentials")
      const [, from = ""] = settings(unit).get("LoadCredential")?.split(":") ?? []
      fs.mkdirSync(credentials)
      fs.copyFileSync(from, path.join(credentials, "secret"))
      fs.chmodSync(path.join(credentials, "secret"), 0o440)
      const [, name = "", value = ""] = /^"(\w+)=(.*)"$/.exec(settings(unit).get("Environment") ?? "") ?? []
      const env = { CREDENTIALS_DIRECTORY: credentials, [name]: value }
      const service = yield* here.start(`exec ${settings(unit).get("ExecStart")}`, env)
      const address = yield* service.address
      assert.include(address, here.key)

      const there = { "net:pub.example:8008~shs:SERVER_KEY": address }
      const tunnel = yield* here.start(block(page, "client", { ...there, "net:127.0.0.1:5433": "net:127.0.0.1:0" }))
      assert.strictEqual(yield* ask(portOf(yield* tunnel.address), "select 1"), "select 1")
      assert.include(yield* ran(here, block(page, "health", there)), here.key)

      yield* service.kill("SIGTERM")
      assert.strictEqual((yield* service.exit).code, 0)

      // The drop-in: the same, over wss, with a certificate that is renewed.
      const renew = (lineage: string) => {
        const files = path.join(here.folder, lineage)
        fs.mkdirSync(files)
        fs.copyFileSync(fixture(`${lineage}.key`), path.join(files, "privkey.pem"))
        fs.copyFileSync(fixture(`${lineage}.crt`), path.join(files, "fullchain.pem"))
        const script = block(page, "renewed", {
          "/etc/multiserver": here.etc,
          "owner multiserver": `owner ${os.userInfo().username}`
        })
        return ran(here, script, { RENEWED_LINEAGE: files })
      }
      here.program("systemctl", "#!/bin/sh\n")
      yield* renew("server")
      const secure = yield* here.start(`exec ${settings(drop).get("ExecStart")}`, env)
      yield* secure.address
      // What systemd does at a reload.
      assert.include(drop, "ExecReload=/bin/kill -HUP $MAINPID")
      here.program("systemctl", `#!/bin/sh\ntest "$*" = "reload multiserver" && kill -HUP ${secure.pid}\n`)
      yield* renew("renewed")
      yield* secure.event("reloaded")
      yield* secure.kill("SIGTERM")
      assert.strictEqual((yield* secure.exit).code, 0)
    })
  )

  it.live("containers: the key comes by a descriptor, and SIGTERM reaches the command; a proxy names its clients", () =>
    Effect.gen(function* () {
      const here = yield* installed
      const target = yield* database
      const mounted = path.join(here.folder, "mounted")
      fs.copyFileSync(path.join(here.etc, "secret"), mounted)
      fs.chmodSync(mounted, 0o444)
      const image = block(page, "Dockerfile", {
        CLIENT_KEY: clientKey,
        "net:0.0.0.0:8008~shs": "net:127.0.0.1:0~shs",
        "net:db:5432": target,
        "node_modules/.bin/multiserver": "multiserver",
        "/run/secrets/multiserver": mounted
      })
      assert.match(
        image,
        /^FROM node:24-slim\nWORKDIR \/app\nRUN npm install \S+ \S+\nUSER node\nEXPOSE 8008\nCMD exec /
      )
      assert.include(block(page, "install"), /RUN npm install (.*)/.exec(image)?.[1] ?? "nothing")
      const files = fs.readdirSync(here.folder)
      const container = yield* here.start(image.slice(image.indexOf("CMD ") + 4))
      const key = ["--key-file", path.join(here.folder, "client.key")]
      const asked = yield* inside(["connect", "--json", ...key, yield* container.address], { input: "select 1" })
      assert.strictEqual(String(asked.stdout), "select 1")
      yield* container.kill("SIGTERM")
      assert.strictEqual((yield* container.exit).code, 0)
      assert.deepStrictEqual(fs.readdirSync(here.folder), files)

      // Behind a proxy: it says whose connections it passes on, in the way of each protocol.
      fs.copyFileSync(path.join(here.etc, "secret"), path.join(here.folder, "secret"))
      fs.chmodSync(path.join(here.folder, "secret"), 0o600)
      const behind = yield* here.start(
        block(page, "behind", {
          CLIENT_KEY: clientKey,
          "net:127.0.0.1:5432": target,
          "net:127.0.0.1:9008": "net:127.0.0.1:0",
          "ws://127.0.0.1:9009": "ws://127.0.0.1:0"
        })
      )
      const [plain = "", web = "", ...external] = (yield* behind.event("listening")).addresses ?? []
      assert.deepStrictEqual(external, [`net:pub.example:8008~shs:${here.key}`, `wss://pub.example~shs:${here.key}`])
      const proxy = (to: string, pass: (from: net.Socket, onto: net.Socket) => void) =>
        Effect.map(
          tcp((socket) => {
            const onto = net.connect({ port: portOf(to), host: "127.0.0.1", allowHalfOpen: true })
            pass(
              socket,
              onto.on("error", () => {})
            )
            onto.pipe(socket)
          }),
          (port) => to.replace(/:\d+~/, `:${port}~`)
        )
      const header = "PROXY TCP4 203.0.113.7 192.0.2.1 40000 8008\r\n"
      const forwarded = "X-Forwarded-For: 203.0.113.8\r\n"
      const overTcp = yield* proxy(plain, (from, onto) => {
        onto.write(header)
        from.pipe(onto)
      })
      const overWeb = yield* proxy(web, (from, onto) =>
        from.once("data", (head) => {
          onto.write(String(head).replace("\r\n", `\r\n${forwarded}`))
          from.pipe(onto)
        })
      )
      for (const address of [overTcp, overWeb]) {
        const { stdout } = yield* inside(["connect", "--json", ...key, address], { input: "select 1" })
        assert.strictEqual(String(stdout), "select 1")
      }
      // Past the proxy, from an address from which only the proxy may come.
      assert.strictEqual((yield* inside(["connect", "--json", ...key, plain])).code, 5)
      assert.strictEqual((yield* behind.event("refused")).reason, "ProxyHeader")
      yield* behind.kill("SIGTERM")
      const { stderr } = yield* behind.exit
      assert.include(stderr, `"source":"203.0.113.7"`)
      assert.include(stderr, `"source":"203.0.113.8"`)
    })
  )

  it("nginx takes the configuration", () => {
    const place = fs.mkdtempSync(path.join(os.tmpdir(), "nginx-"))
    const config = block(page, "nginx.conf", {
      "/etc/letsencrypt/live/pub.example/fullchain.pem": fixture("pub.crt"),
      "/etc/letsencrypt/live/pub.example/privkey.pem": fixture("pub.key")
    })
    for (const needed of [
      "proxy_protocol on;",
      "Upgrade $http_upgrade;",
      "X-Forwarded-For $proxy_add_x_forwarded_for;"
    ]) {
      assert.include(config, needed)
    }
    assert.strictEqual(config.split("{").length, config.split("}").length)
    if (has("nginx")) {
      fs.writeFileSync(path.join(place, "nginx.conf"), `pid ${place}/pid;\nevents {}\n${config}`)
      const { status, stderr } = spawnSync("nginx", ["-t", "-p", place, "-c", path.join(place, "nginx.conf")])
      assert.strictEqual(status, 0, String(stderr))
    }
    fs.rmSync(place, { recursive: true })
  })
})
