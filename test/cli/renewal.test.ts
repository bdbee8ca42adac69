/** A certificate that was renewed is shown without a restart. */
import * as fs from "node:fs"
import * as path from "node:path"
import * as tls from "node:tls"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { until } from "../support/servers.ts"
import { status } from "../ws/plain.ts"
import { inside, listenInside, startInside } from "./inside.ts"
import { eventsOf, folder, run, start } from "./support.ts"

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

/** Whose certificate is shown at a port. */
const shownAt = (port: number) =>
  Effect.callback<string>((resume) => {
    const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => {
      const { subject } = socket.getPeerCertificate()
      socket.destroy()
      resume(Effect.succeed(String(subject?.CN)))
    })
    socket.on("error", (error) => resume(Effect.die(error)))
  })

describe.concurrent("SIGHUP", () => {
  it.live.each(["flags", "variables"])(
    "reads the certificate of listen again, which %s name, and nothing else",
    (way) =>
      Effect.gen(function* () {
        const place = yield* folder
        const [key, cert, secret] = [
          path.join(place, "key.pem"),
          path.join(place, "cert.pem"),
          path.join(place, "secret")
        ]
        const put = (name: string) => {
          fs.copyFileSync(fixture(`${name}.key`), key)
          fs.chmodSync(key, 0o600)
          fs.copyFileSync(fixture(`${name}.crt`), cert)
        }
        put("server")
        assert.strictEqual((yield* inside(["keygen", "--output", secret])).code, 0)
        const listener = yield* start(
          [
            ...["listen", "--json", "wss://127.0.0.1:0~shs", "net:127.0.0.1:0~shs", "--echo", "--key-file", secret],
            ...(way === "flags" ? ["--tls-key", key, "--tls-cert", cert] : [])
          ],
          way === "flags" ? {} : { env: { MULTISERVER_TLS_KEY_FILE: key, MULTISERVER_TLS_CERT_FILE: cert } }
        )
        const { addresses = [] } = yield* listener.event("listening")
        const [secure = ""] = addresses.filter((address) => address.startsWith("wss:"))
        const [plain = ""] = addresses.filter((address) => address.startsWith("net:"))
        const port = Number(/:(\d+)/.exec(secure.slice(6))?.[1])
        const first = yield* shownAt(port)
        assert.notStrictEqual(first, "renewed")
        const open = yield* startInside(["connect", "--json", plain])
        yield* open.event("connected")
        const said = (event: string) => listener.events().filter((each) => each.event === event)

        put("renewed")
        fs.rmSync(secret)
        yield* listener.kill("SIGHUP")
        yield* until(() => said("reloaded").length === 1)
        assert.strictEqual(yield* shownAt(port), "renewed")
        // The key of the address is the old one, whose file is gone.
        assert.strictEqual((yield* inside(["probe", plain])).code, 0)

        fs.writeFileSync(cert, "no certificate")
        yield* listener.kill("SIGHUP")
        yield* until(() => said("warning").length === 1)
        assert.include(said("warning")[0]?.message, "the old one is shown")
        assert.strictEqual(yield* shownAt(port), "renewed")

        // The connection that was open before is still open.
        yield* open.end("hello")
        const opened = yield* open.exit
        assert.strictEqual(String(opened.stdout), "hello")
        assert.strictEqual(opened.code, 0)
        yield* listener.kill("SIGTERM")
        assert.strictEqual((yield* listener.exit).code, 0)
      })
  )
})

describe("--tls-cert", () => {
  it.live("that can't be used is an error before anything is bound", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run([
        ...["listen", "--json", "wss://127.0.0.1:0~shs", "--tls-key", fixture("client.key")],
        ...["--tls-cert", fixture("server.crt")]
      ])
      assert.strictEqual(code, 1)
      assert.deepInclude(eventsOf(stderr)[0], { event: "error", tag: "LocalError" })
    })
  )
})

describe("--host", () => {
  it.live("lets clients call a loopback listener by its name", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("ws://127.0.0.1:0", "--echo", "--host", "App.example")
      const port = Number(new URL(address).port)
      assert.strictEqual(yield* status(port, { headers: { host: `app.example:${port}` } }), 101)
      // By the address that it says, it is called 127.0.0.1.
      assert.strictEqual((yield* inside(["connect", "--json", address])).code, 3)
      assert.strictEqual((yield* listener.event("refused")).reason, "Host")
    })
  )

  it.live.each(["app.example:443", "https://app.example", "a b"])("does not take %s", (host) =>
    Effect.gen(function* () {
      const { code } = yield* inside(["listen", "--json", "ws://127.0.0.1:0", "--host", host])
      assert.strictEqual(code, 2)
    })
  )
})
