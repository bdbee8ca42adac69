/** When a conversation over stdin and stdout is over, what its exit code says, and what of it is a goodbye. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type WebSocket, WebSocketServer } from "ws"
import { inside, listenInside, startInside } from "./inside.ts"
import { eventsOf, folder, listen, run, sha256, start } from "./support.ts"

/** A WebSocket server of the field, which does this with each connection. */
const server = (serve: (socket: WebSocket, cut: () => void) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly address: string; readonly close: () => void }>((resume) => {
      const web = new WebSocketServer({ port: 0, host: "127.0.0.1" }, () => {
        const bound = web.address()
        const address = `ws://127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`
        resume(Effect.succeed({ address, close: () => web.close() }))
      })
      web.on("connection", (socket, request) => {
        socket.on("error", () => {})
        serve(socket, () => request.socket.destroy())
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const last = (stderr: string) => eventsOf(stderr).at(-1)

describe.concurrent("connect to a WebSocket, which has no half close,", () => {
  it.live("ends with 0 when the server has closed it, however open stdin is", () =>
    Effect.gen(function* () {
      const { address } = yield* server((socket) => {
        socket.send(Buffer.from("that was it"))
        socket.close(1000)
      })
      const { code, stdout, stderr } = yield* (yield* start(["connect", "--json", address])).exit
      assert.strictEqual(code, 0)
      assert.strictEqual(String(stdout), "that was it")
      assert.deepInclude(last(stderr), { event: "closed", reason: "end" })
    })
  )

  it.live("ends with 7 when it breaks, however open stdin is", () =>
    Effect.gen(function* () {
      const { address } = yield* server((socket, cut) => socket.send(Buffer.from("half of wh"), () => cut()))
      const { code, stdout, stderr } = yield* (yield* start(["connect", "--json", address])).exit
      assert.strictEqual(code, 7)
      assert.strictEqual(String(stdout), "half of wh")
      assert.deepInclude(last(stderr), { event: "error", tag: "ConnectionError", reason: "Truncated" })
    })
  )

  it.live("reads on after the end of stdin, until the server closes it", () =>
    Effect.gen(function* () {
      const { address } = yield* server((socket) =>
        socket.on("message", (question) =>
          // What is said at the end of stdin has long arrived by then.
          setTimeout(() => {
            socket.send(Buffer.from(`the answer to ${question}`))
            socket.close(1000)
          }, 100)
        )
      )
      const { code, stdout } = yield* run(["connect", address], { input: "question" })
      assert.strictEqual(String(stdout), "the answer to question")
      assert.strictEqual(code, 0)
    })
  )

  it.live("says so when it waits for that, and what to do", () =>
    Effect.gen(function* () {
      const { address } = yield* server(() => {})
      const connect = yield* startInside(["connect", "--json", address])
      yield* connect.end("no answer")
      assert.include((yield* connect.event("warning")).message, "--linger")
    })
  )

  it.live("--linger ends it when the server has been silent for so long, after all that it said", () =>
    Effect.gen(function* () {
      const { address } = yield* server((socket) => socket.on("message", (said) => socket.send(said)))
      for (const linger of ["0", "100ms"]) {
        const { code, stdout } = yield* run(["connect", "--linger", linger, address], { input: "echo" })
        assert.strictEqual(code, 0)
        // With 0, what has not arrived by then is lost: so it is said.
        if (linger !== "0") assert.strictEqual(String(stdout), "echo")
      }
    })
  )

  it.live("--linger does not count while the server still says something", () =>
    Effect.gen(function* () {
      const { address } = yield* server((socket) => {
        let left = 7
        const more = setInterval(() => {
          socket.send(Buffer.from("."))
          if (--left === 0) clearInterval(more)
        }, 1000)
      })
      // All together takes longer than that, and between two there is much less.
      const { code, stdout } = yield* inside(["connect", "--linger", "5s", address])
      assert.strictEqual(code, 0)
      assert.strictEqual(String(stdout), ".......")
    })
  )

  it.live("two commands end when both inputs have, whoever has sent the file", () =>
    Effect.gen(function* () {
      const bytes = Buffer.alloc(2 * 1024 * 1024, "a file ")
      const up = yield* listenInside("ws://127.0.0.1:0")
      yield* up.listener.end()
      assert.strictEqual((yield* inside(["connect", up.address], { input: bytes })).code, 0)
      const uploaded = yield* up.listener.exit
      assert.deepStrictEqual([uploaded.code, sha256(uploaded.stdout)], [0, sha256(bytes)])
      assert.match(uploaded.stderr, /silent for 5 s/)
      const down = yield* listenInside("ws://127.0.0.1:0")
      yield* down.listener.end(bytes)
      const downloaded = yield* inside(["connect", "--recv-only", down.address])
      assert.deepStrictEqual([downloaded.code, sha256(downloaded.stdout)], [0, sha256(bytes)])
      assert.strictEqual((yield* down.listener.exit).code, 0)
    })
  )

  it.live("a listener of ours gets a whole file, and gives one", () =>
    Effect.gen(function* () {
      const bytes = Buffer.alloc(2 * 1024 * 1024, "a file ")
      // Neither says its end before the other one has: so one of them has to.
      const up = yield* listenInside("ws://127.0.0.1:0")
      yield* up.listener.end()
      assert.strictEqual((yield* inside(["connect", "--linger", "1s", up.address], { input: bytes })).code, 0)
      const uploaded = yield* up.listener.exit
      assert.deepStrictEqual([uploaded.code, sha256(uploaded.stdout)], [0, sha256(bytes)])
      const down = yield* listenInside("ws://127.0.0.1:0", "--linger", "1s")
      yield* down.listener.end(bytes)
      const downloaded = yield* inside(["connect", down.address])
      assert.deepStrictEqual([downloaded.code, sha256(downloaded.stdout)], [0, sha256(bytes)])
      assert.strictEqual((yield* down.listener.exit).code, 0)
    })
  )
})

describe.concurrent("what a goodbye says of stdout:", () => {
  it.live("a listener with nothing on stdin has it when stdout took everything, and a full disk has none", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const full = yield* listenTo("/dev/full")
      const failed = yield* inside(["connect", "--json", yield* full.address], { input: "123" })
      assert.strictEqual(failed.code, 7)
      assert.deepInclude(last(failed.stderr), { event: "error", reason: "Truncated" })
      const { code, stderr } = yield* full.exit
      assert.strictEqual(code, 1)
      assert.deepInclude(last(stderr), { event: "error", tag: "LocalError", message: "cannot write stdout: ENOSPC" })
      const kept = yield* listenTo(join(directory, "kept"))
      assert.strictEqual((yield* inside(["connect", yield* kept.address], { input: "123" })).code, 0)
      assert.strictEqual((yield* kept.exit).code, 0)
    })
  )

  it.live("--recv-only leaves stdin alone, and has its goodbye then too", () =>
    Effect.gen(function* () {
      for (const to of ["/dev/full", join(yield* folder, "kept")]) {
        const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs")
        yield* listener.end("a file")
        // Its stdin stays open.
        const connect = yield* start(["connect", "--recv-only", address], { shell: `exec "$@" >${to}` })
        const codes = to === "/dev/full" ? [1, 7] : [0, 0]
        assert.deepStrictEqual([(yield* connect.exit).code, (yield* listener.exit).code], codes)
      }
    })
  )

  it.live("who may type goes on when the listener has nothing on stdin", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs", "--recv-only")
      const connect = yield* startInside(["connect", address])
      yield* connect.write("first, ")
      yield* listener.received(7)
      yield* connect.end("last")
      assert.strictEqual((yield* connect.exit).code, 0)
      assert.strictEqual(String((yield* listener.exit).stdout), "first, last")
    })
  )
})

describe.concurrent("a peer that breaks after its goodbye", () => {
  it.live("ends the command with 7, however open stdin is", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs", "--linger", "1h")
      yield* listener.end("goodbye")
      const connect = yield* startInside(["connect", "--json", address])
      yield* connect.received(7)
      // It has its goodbye, and then something that it can't send any more.
      yield* connect.write("first")
      yield* listener.received(5)
      yield* listener.kill("SIGKILL")
      yield* listener.exit
      yield* Effect.forkChild(
        Effect.repeat(Effect.andThen(connect.write("more"), Effect.sleep("20 millis")), { times: 200 })
      )
      assert.strictEqual((yield* connect.exit).code, 7)
    })
  )
})

describe.concurrent("without keys,", () => {
  it.live("an end is called no goodbye, and a stack that is open to others comes with a warning", () =>
    Effect.gen(function* () {
      const listener = yield* startInside(["listen", "net:0.0.0.0:0", "--scope", "device"])
      const [said = "", , warning = ""] = yield* listener.lines(3)
      assert.match(warning, /^warning: net:0\.0\.0\.0:0 is not encrypted: .*~shs/)
      yield* listener.end()
      const address = said.replace("listening on ", "").replace("localhost", "127.0.0.1")
      const { code, stderr } = yield* inside(["connect", address], { input: "in the clear" })
      assert.strictEqual(code, 0)
      assert.match(stderr, /both sides have ended\n$/)
      assert.notInclude(stderr + (yield* listener.exit).stderr, "goodbye")
      // Within this machine nobody is on the way.
      assert.notInclude(stderr, "warning")
    })
  )

  it.live("a dial is warned of before it is made", () =>
    Effect.gen(function* () {
      for (const [address, warns] of [
        ["net:192.0.2.1:1", true],
        ["ws://192.0.2.1:1", true],
        ["wss://192.0.2.1:1", false],
        [`net:192.0.2.1:1~shs:${Buffer.alloc(32, 3).toString("base64")}`, false]
      ] as const) {
        const { stderr } = yield* inside(["connect", "--json", "--timeout", "1ms", address])
        assert.strictEqual(/not encrypted/.test(stderr), warns, address)
      }
    })
  )
})

/** A listener whose stdin is empty and whose stdout goes to a file. */
const listenTo = (path: string) =>
  Effect.tap(start(["listen", "--json", "net:127.0.0.1:0~shs"], { shell: `exec "$@" >${path}` }), (run) => run.end())

describe.concurrent("an address that somebody has copied", () => {
  const key = Buffer.alloc(32, 3).toString("base64")
  const seed = Buffer.alloc(32, 4).toString("base64")

  it.live("is read from a file in the older form of an invite, with white space and quotes around it", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "invite")
      for (const text of [
        `127.0.0.1:1:@${key}.ed25519~${seed}`,
        `"127.0.0.1:1:@${key}.ed25519~${seed}"\n`,
        ` 'net:127.0.0.1:1~shs:${key}:${seed}'\n`,
        `127.0.0.1:1:@${key}.ed25519~${seed}#https://pub.example/`
      ]) {
        writeFileSync(file, text)
        const { code, stderr } = yield* inside(["connect", "--json", "--address-file", file])
        assert.strictEqual(code, 3, stderr)
        assert.include(last(stderr)?.message, `net:127.0.0.1:1~shs:${key}:<redacted>: connection refused`)
      }
      writeFileSync(file, `127.0.0.1:1:@${key}.ed25519~short`)
      const { code, stderr } = yield* inside(["connect", "--json", "--address-file", file])
      assert.strictEqual(code, 2)
      assert.deepInclude(last(stderr), { tag: "AddressError", reason: "BadSeed" })
    })
  )

  const guesses = [
    ["127.0.0.1:8008", "net:127.0.0.1:8008"],
    ["pub.example:8008", "net:pub.example:8008"],
    ["localhost:8008", "net:localhost:8008"],
    ["[::1]:8008", "net:::1:8008"],
    ["https://pub.example/path", "wss://pub.example/path"],
    ["http://localhost:8989", "ws://localhost:8989"],
    ["tcp://pub.example:8008", "net:pub.example:8008"],
    [`pub.example:8008~shs:${key}:${seed}`, `net:pub.example:8008~shs:${key}:<redacted>`]
  ] as const
  it.live.each(guesses)("%s is asked back as %s", ([text, meant]) =>
    Effect.gen(function* () {
      const { code, stderr } = yield* inside(["connect", text])
      assert.strictEqual(code, 2)
      assert.include(stderr, `did you mean ${meant}?`)
      assert.notInclude(stderr, seed)
    })
  )

  it.live("of which nothing can be guessed is not asked back", () =>
    Effect.gen(function* () {
      for (const text of ["pub.example", "Pub:8008", `${seed}:8008`, "a b:1", "~shs"]) {
        assert.notInclude((yield* inside(["connect", text])).stderr, "did you mean")
      }
    })
  )
})
