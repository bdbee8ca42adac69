/** How much is said, when a connection is given up, dialed again, and in which directions it is used. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { size, time } from "../../src/cli/progress.ts"
import { shellWord } from "../../src/cli/shell.ts"
import { bridgeInside, inside, listenInside, startInside } from "./inside.ts"
import { eventsOf } from "./support.ts"

/** How a line on a terminal is written over. */
const clear = "\r\u001b[2K"

/** A port that nothing listens on. */
const freePort = Effect.callback<number>((resume) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const bound = server.address()
    server.close(() => resume(Effect.succeed(typeof bound === "object" && bound !== null ? bound.port : 0)))
  })
})

/** Accepts, says nothing, and keeps what is open. */
const mute = Effect.acquireRelease(
  Effect.callback<{ readonly address: string; readonly close: () => void }>((resume) => {
    const open = new Set<net.Socket>()
    const server = net
      .createServer((socket) => open.add(socket.on("error", () => {}).resume()))
      .listen(0, "127.0.0.1", () => {
        const bound = server.address()
        const close = () => {
          for (const socket of open) socket.destroy()
          server.close()
        }
        const port = typeof bound === "object" && bound !== null ? bound.port : 0
        resume(Effect.succeed({ address: `net:127.0.0.1:${port}`, close }))
      })
  }),
  ({ close }) => Effect.sync(close)
)

describe.concurrent("what is said", () => {
  it.live("with --json, each event has its time, and those of a connection its number; a bridge says which two", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const { address: near, bridge } = yield* bridgeInside("net:127.0.0.1:0", address)
      assert.strictEqual(String((yield* inside(["connect", near], { input: "hello" })).stdout), "hello")
      const closed = yield* bridge.all("closed", 2)
      const events = bridge.events()
      for (const { time } of events) assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      const [bridged] = events.filter(({ event }) => event === "bridged")
      const numberOf = (role: string) => events.find((own) => own.event === "connected" && own.role === role)?.id
      assert.deepStrictEqual([bridged?.id, bridged?.with], [numberOf("listen"), numberOf("dial")])
      assert.deepStrictEqual(closed.map(({ id }) => id).toSorted(), [1, 2])
    })
  )

  it.live("a flag without a value has its opposite", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const flags = ["--no-race", "--no-recv-only", "--no-send-only", "--no-json", "--no-quiet", "--no-verbose"]
      const { code, stdout } = yield* inside(["connect", ...flags, address], { input: "hello" })
      assert.deepStrictEqual([code, String(stdout)], [0, "hello"])
    })
  )

  it.live("with --quiet, nothing but errors", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      assert.strictEqual((yield* inside(["connect", "-q", address], { input: "hello" })).stderr, "")
      const failed = yield* inside(["connect", "--quiet", `net:127.0.0.1:${yield* freePort}`])
      assert.match(failed.stderr, /^error: .*refused/)
      assert.strictEqual(failed.code, 3)
    })
  )

  it.live.each([{ flags: ["-vq"] }, { flags: ["--quiet=yes"] }, { flags: ["--quiet", "true"] }])(
    "$flags is --quiet, too",
    ({ flags }) =>
      Effect.gen(function* () {
        const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
        assert.strictEqual((yield* inside(["connect", address, ...flags], { input: "hello" })).stderr, "")
      })
  )

  it.live.each([
    { flags: ["--json=1"], isJson: true },
    { flags: ["--json", "false"], isJson: false }
  ])("$flags say whether events are JSON", ({ flags, isJson }) =>
    Effect.gen(function* () {
      const { stderr } = yield* inside(["connect", `net:127.0.0.1:${yield* freePort}`, ...flags])
      assert.strictEqual(stderr.startsWith("{"), isJson)
    })
  )

  it.live("with --verbose, the time, the number and how long it took, and what the library logs for faults", () =>
    Effect.gen(function* () {
      const listener = yield* startInside(["listen", "-v", "--echo", "net:127.0.0.1:0~shs"])
      const [, address = ""] = /listening on (\S+)/.exec(yield* listener.saying(/listening on (\S+)\n/)) ?? []
      const { stderr } = yield* inside(["connect", "-v", address], { input: "hello" })
      assert.match(stderr, /^\d\d:\d\d:\d\d\.\d{3} #1 connected with .* in \d+ ms \(\d+ ms to connect\)\n/)
      assert.match(stderr, /#1 closed .*: 5 bytes in, 5 bytes out; both sides said goodbye/)
      const [port] = /\d+(?=~)/.exec(address) ?? []
      yield* Effect.callback<void>((resume) => {
        const socket = net.connect(Number(port), "127.0.0.1", () => socket.end("garbage"))
        socket.on("close", () => resume(Effect.void)).resume()
      })
      assert.match(yield* listener.saying(/debug: .*\n/), /debug: a handshake failed/)
    })
  )

  it.live("to people, what the other side of a bridge dials that passes on what it can't read", () =>
    Effect.gen(function* () {
      const said = (dialed: string) =>
        Effect.flatMap(startInside(["bridge", "ws://127.0.0.1:0", dialed]), (bridge) =>
          bridge.saying(/the other side.*\n/)
        )
      assert.match(yield* said("net:127.0.0.1:1"), /the other side dials ws:\/\/127\.0\.0\.1:\d+, with the ~shs:KEY or/)
      const own = "net:127.0.0.1:1~shs:ZMYOtahB0BwspMdkuFCoQdBWRKXlTZaoWkL/CbL34qI="
      assert.match(yield* said(own), /the other side: multiserver connect ws:/)
    })
  )

  it.live("to people, the command that the other side runs", () =>
    Effect.gen(function* () {
      const listener = yield* startInside(["listen", "ws://127.0.0.1:0/a$b~shs"])
      const said = yield* listener.saying(/the other side: .*\n/)
      assert.match(said, /the other side: multiserver connect 'ws:\/\/127\.0\.0\.1:\d+\/a\$b~shs:[^']+='\n/)
      for (const [text, word] of [
        ["net:h:1~shs:A+/=", "'net:h:1~shs:A+/='"],
        ["net:h:1", "net:h:1"],
        ["it's", `'it'\\''s'`]
      ] as const) {
        assert.strictEqual(shellWord(text), word)
      }
    })
  )

  it("is short: sizes and times", () => {
    assert.deepStrictEqual([0, 999, 1024, 1_500_000, 3 * 1024 ** 3, 500 * 1024].map(size), [
      ...["0 B", "999 B", "1.0 KiB", "1.4 MiB", "3.0 GiB", "500 KiB"]
    ])
    assert.deepStrictEqual([0, 61, 3599, 3723].map(time), ["0:00", "1:01", "59:59", "1:02:03"])
  })

  it.live("of a transfer on a terminal, how far it is; not elsewhere, and not where the peer's text is shown", () =>
    Effect.gen(function* () {
      const receiving = yield* listenInside("net:127.0.0.1:0~shs")
      const seen = yield* startInside(["connect", receiving.address], { terminal: { stderr: true, stdout: false } })
      yield* seen.write(new Uint8Array(2 * 1024 * 1024))
      const shown = yield* seen.saying(/MiB out/)
      assert.match(shown, /2\.0 MiB out, 0 B in, .*\/s, 0:\d\d/)
      assert.include(shown, `${clear}2.0 MiB out`)
      yield* seen.end()
      yield* receiving.listener.end()
      const { code, stderr } = yield* seen.exit
      assert.strictEqual(code, 0)
      assert.isTrue(stderr.split(clear).at(-1)?.startsWith("closed "), stderr)
      const silent = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const piped = yield* inside(["connect", "--linger", "2s", silent.address], { input: "hello" })
      assert.notInclude(piped.stderr, "\r")
    })
  )
})

describe.concurrent("--retry", () => {
  it.live("dials again until somebody listens", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const connect = yield* startInside(["connect", "--json", "--retry", "forever", `net:127.0.0.1:${port}`])
      yield* connect.end("hello")
      const first = yield* connect.event("retry")
      assert.deepInclude(first, { reason: "Refused", attempt: 1 })
      assert.isTrue((first.millis ?? 0) >= 750 && (first.millis ?? 0) <= 1250)
      yield* startInside(["listen", "--echo", `net:127.0.0.1:${port}`])
      const { code, stdout } = yield* connect.exit
      assert.deepStrictEqual([code, String(stdout)], [0, "hello"])
    })
  )

  it.live("gives up after so many times, and at once when no retry can help", () =>
    Effect.gen(function* () {
      const refused = yield* inside(["connect", "--json", "--retry", "1", `net:127.0.0.1:${yield* freePort}`])
      assert.strictEqual(refused.code, 3)
      assert.lengthOf(
        eventsOf(refused.stderr).filter(({ event }) => event === "retry"),
        1
      )
      const never = yield* inside(["connect", "--json", "--retry", "5", "net:127.0.0.1:1~shs"])
      assert.strictEqual(never.code, 2)
      assert.notInclude(never.stderr, `"retry"`)
      assert.strictEqual((yield* inside(["connect", "--retry", "often", "net:127.0.0.1:1"])).code, 2)
    })
  )
})

describe.concurrent("--retry of a bridge", () => {
  it.live("ends for a connection that breaks", () =>
    Effect.gen(function* () {
      const { address, bridge } = yield* bridgeInside(
        "net:127.0.0.1:0",
        `net:127.0.0.1:${yield* freePort}`,
        "--retry",
        "forever"
      )
      const socket = net.connect(Number(address.split(":")[2]), "127.0.0.1").on("error", () => {})
      yield* bridge.event("retry")
      socket.resetAndDestroy()
      assert.deepInclude(yield* bridge.event("closed"), { reason: "Reset" })
    })
  )
})

describe.concurrent("--tls-ca", () => {
  it.live("refuses a file in which there is no certificate", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* inside(["connect", "wss://127.0.0.1:1", "--tls-ca", "/dev/null"])
      assert.strictEqual(code, 1)
      assert.include(stderr, "--tls-ca /dev/null: ")
    })
  )
})

describe.concurrent("--idle", () => {
  it.live("breaks off what carries nothing", () =>
    Effect.gen(function* () {
      const { address } = yield* mute
      const { code, stderr } = yield* (yield* startInside(["connect", "--json", "--idle", "200ms", address])).exit
      assert.strictEqual(code, 7)
      const error = eventsOf(stderr).at(-1)
      assert.deepInclude(error, { event: "error", reason: "TimedOut" })
      assert.include(String(error?.message), "idle")
      assert.strictEqual((yield* inside(["connect", "--idle", "soon", address])).code, 2)
    })
  )
})

describe.concurrent("--send-only", () => {
  it.live.each(["net:127.0.0.1:0~shs", "net:127.0.0.1:0", "ws://127.0.0.1:0~noise", "ws://127.0.0.1:0"])(
    "sends all of stdin, drops what comes, and waits for nobody who has nothing to say: %s",
    (target) =>
      Effect.gen(function* () {
        const bytes = Buffer.alloc(1024 * 1024, "a file ")
        const { address, listener } = yield* listenInside("--linger", "1h", target)
        yield* listener.end("what nobody wants")
        const sent = yield* inside(["connect", "--send-only", address], { input: bytes })
        assert.deepStrictEqual([sent.code, sent.stdout.length], [0, 0])
        const { code, stdout } = yield* listener.exit
        assert.strictEqual(code, 0)
        assert.isTrue(stdout.equals(bytes))
      })
  )

  it.live("is not for who receives only, nor for --echo", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* inside(["connect", "--send-only", "--recv-only", "net:127.0.0.1:1"])).code, 2)
      assert.strictEqual((yield* inside(["listen", "--send-only", "--echo", "net:127.0.0.1:0"])).code, 2)
    })
  )
})
