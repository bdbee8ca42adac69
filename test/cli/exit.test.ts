/**
 * The exit code of each failure, and the one event that says why. Each code is that of a process at least once. The
 * other failures run within this process, as the program's outcome is the code.
 */
import { chmodSync } from "node:fs"
import net from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { inside, listenInside } from "./inside.ts"
import { type Ended, eventsOf, folder, listen, run, start } from "./support.ts"

const key = Buffer.alloc(32, 3).toString("base64")

/** The error of a run, which is the last thing that it says and nothing on stdout. */
const failure = ({ code, stderr, stdout }: Ended) => {
  const events = eventsOf(stderr)
  const errors = events.filter(({ event }) => event === "error")
  assert.lengthOf(errors, 1)
  assert.strictEqual(events.at(-1), errors[0])
  assert.strictEqual(String(stdout), "")
  const { message, reason, tag } = errors[0] ?? {}
  assert.isNotEmpty(message)
  return { code, tag, reason }
}

/** A TCP server that does this with each connection. */
const tcp = (onConnection: (socket: net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly address: string; readonly close: () => void }>((resume) => {
      const sockets = new Set<net.Socket>()
      const server = net.createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        onConnection(socket)
      })
      server.listen(0, "127.0.0.1", () => {
        const bound = server.address()
        const port = typeof bound === "object" ? bound?.port : undefined
        const close = () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ address: `net:127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

describe.concurrent("exit code 1, something of this machine:", () => {
  it.live("a key file that others can read", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "key")
      yield* inside(["keygen", "--output", file])
      chmodSync(file, 0o644)
      const ended = yield* run(["connect", "--json", "--key-file", file, "net:127.0.0.1:1"])
      assert.deepStrictEqual(failure(ended), { code: 1, tag: "IdentityError", reason: "Exposed" })
      assert.include(ended.stderr, "or give it as a descriptor: --key-file /dev/fd/3 3<FILE")
    })
  )

  it.live("an app key file that is not there", () =>
    Effect.gen(function* () {
      const ended = yield* inside(["connect", "--json", "--app-key-file", "absent", "net:127.0.0.1:1"])
      assert.deepStrictEqual(failure(ended), { code: 1, tag: "LocalError", reason: "NotFound" })
    })
  )

  it.live.each(["connect net:127.0.0.1:1", "listen net:127.0.0.1:0"])("stdin that is a directory: %s", (args) =>
    Effect.gen(function* () {
      const ended = yield* run([...args.split(" "), "--json"], { shell: 'exec "$@" </' })
      assert.deepStrictEqual(failure(ended), { code: 1, tag: "LocalError", reason: "EISDIR" })
    })
  )

  it.live("a port that somebody has", () =>
    Effect.gen(function* () {
      const { address } = yield* tcp(() => {})
      const ended = yield* inside(["listen", "--json", address])
      assert.deepStrictEqual(failure(ended), { code: 1, tag: "ListenError", reason: "AddressInUse" })
    })
  )
})

describe.concurrent("exit code 1, stdout could not be written:", () => {
  const full = { shell: 'exec "$@" >/dev/full' }
  const expectFailure = (ended: Ended) => {
    assert.deepInclude(failure(ended), { code: 1, tag: "LocalError" })
    assert.include(ended.stderr, "cannot write stdout: ENOSPC")
  }
  it.live.each(["address net:h:1 --json", "--version --json", "--help --json", "--completions bash --json"])(
    "%s",
    (args) => Effect.map(run(args.split(" "), full), expectFailure)
  )

  it.live("keygen, of which only the public key is lost", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "key")
      expectFailure(yield* run(["keygen", "--json", "--output", file], full))
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--key-file", file)
      assert.include(address, "~shs:")
    })
  )

  it.live("probe of a peer that is reached", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      expectFailure(yield* run(["probe", "--json", address], full))
    })
  )

  it.live("but a reader that has had enough is no failure", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* run(["--help"], { shell: '{ "$@"; echo "exit $?" >&2; } | true' })
      assert.deepStrictEqual([code, stderr], [0, "exit 0\n"])
    })
  )
})

describe.concurrent("exit code 2, what it can't use:", () => {
  const cases: ReadonlyArray<readonly [string, string, string]> = [
    ["connect net:h", "AddressError", "BadPort"],
    ["listen net:127.0.0.1:65536", "AddressError", "BadPort"],
    ["connect net:h:1~zstd", "DialError", "Unsupported"],
    ["connect net:192.0.2.1:1~noauth", "DialError", "Insecure"],
    ["connect net:127.0.0.1:1~shs", "DialError", "NotDialable"],
    ["listen net:127.0.0.1:0~zstd", "ListenError", "Unsupported"],
    ["listen net:0.0.0.0:0~noauth", "ListenError", "Insecure"],
    [`listen net:127.0.0.1:0~shs:${key}`, "ListenError", "NotListenable"],
    ["listen wss://127.0.0.1:0", "ListenError", "NotListenable"],
    ["listen net:127.0.0.1:0 --external pub.example~shs", "AddressError", "BadHost"],
    ["bridge net:127.0.0.1:0 net:h:1~zstd", "DialError", "Unsupported"]
  ]
  const expectFailure =
    ([, tag, reason]: (typeof cases)[number]) =>
    (ended: Ended) => {
      assert.deepStrictEqual(failure(ended), { code: 2, tag, reason })
      assert.notInclude(ended.stderr, "Multiserver.layer")
    }
  const words = (args: string) => [...args.split(" "), "--json"]
  it.live.each(cases)("%s", (each) => Effect.map(inside(words(each[0])), expectFailure(each)))

  const inProcesses = cases.filter(([args]) => /^connect net:h$|^listen .*~zstd/.test(args))
  it.live.each(inProcesses)("%s, by a process", (each) => Effect.map(run(words(each[0])), expectFailure(each)))
})

describe.concurrent("exit code 2, and what to do:", () => {
  it.live("listening on wss needs two flags, which are named", () =>
    Effect.gen(function* () {
      const { stderr } = yield* inside(["listen", "--json", "wss://127.0.0.1:0"])
      assert.include(stderr, "give --tls-key and --tls-cert")
    })
  )

  it.live("a variable that names a proxy of another kind is named as it is", () =>
    Effect.gen(function* () {
      const env = { HTTP_PROXY: "socks5://127.0.0.1:1" }
      const { code, stderr } = yield* inside(["connect", "--json", "--proxy", "env", "ws://h"], { env })
      assert.strictEqual(code, 2)
      assert.match(String(eventsOf(stderr).at(-1)?.message), /^HTTP_PROXY: /)
    })
  )
})

describe.concurrent("exit code 3, could not connect:", () => {
  it.live("nothing listens there", () =>
    Effect.gen(function* () {
      const { address, close } = yield* tcp(() => {})
      close()
      const ended = yield* run(["connect", "--json", address])
      assert.deepStrictEqual(failure(ended), { code: 3, tag: "DialError", reason: "Refused" })
    })
  )

  it.live("what answers a ws address speaks no HTTP, and that is said in words", () =>
    Effect.gen(function* () {
      const { address } = yield* tcp((socket) => socket.end("SSH-2.0-OpenSSH_9\r\n"))
      const ended = yield* inside(["connect", "--json", address.replace("net:", "ws://")])
      assert.deepStrictEqual(failure(ended), { code: 3, tag: "DialError", reason: "Unreachable" })
      assert.include(ended.stderr, "what answers there does not speak HTTP (HPE_")
    })
  )

  it.live("nothing listens at any of several addresses: each is named", () =>
    Effect.gen(function* () {
      const ended = yield* inside(["connect", "--json", "net:127.0.0.1:1;net:[::1]:1"])
      assert.deepStrictEqual(failure(ended), { code: 3, tag: "DialError", reason: "AllFailed" })
      const attempts = eventsOf(ended.stderr)
        .at(-1)
        ?.attempts?.map(({ address, reason }) => [address, reason])
      assert.deepStrictEqual(attempts, [
        ["net:127.0.0.1:1", "Refused"],
        ["net:::1:1", "Refused"]
      ])
    })
  )
})

describe.concurrent("exit code 4, timed out:", () => {
  it.live("over all attempts, however many are left", () =>
    Effect.gen(function* () {
      const { address } = yield* tcp(() => {})
      const silent = `${address}~shs:${key}`
      const ended = yield* run(["connect", "--json", "--timeout", "700ms", `${silent};${silent};${silent}`])
      assert.deepStrictEqual(failure(ended), { code: 4, tag: "DialError", reason: "TimedOut" })
    })
  )
})

describe.concurrent("exit code 5, the handshake failed:", () => {
  it.live("what answers a wss address speaks no TLS, and that is said without OpenSSL's own line", () =>
    Effect.gen(function* () {
      const { address } = yield* tcp((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      const ended = yield* inside(["connect", "--json", address.replace("net:", "wss://")])
      assert.deepStrictEqual(failure(ended), { code: 5, tag: "DialError", reason: "Tls" })
      assert.include(ended.stderr, "TLS: what answers there does not speak TLS (")
      assert.notInclude(ended.stderr, "SSL routines")
    })
  )

  it.live("it speaks another protocol", () =>
    Effect.gen(function* () {
      const { address } = yield* tcp((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n".repeat(9)))
      const ended = yield* inside(["connect", "--json", `${address}~shs:${key}`])
      assert.deepStrictEqual(failure(ended), { code: 5, tag: "DialError", reason: "WrongNetwork" })
    })
  )

  it.live("it is of another network", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--app-key", key)
      const ended = yield* run(["connect", "--json", address])
      assert.deepStrictEqual(failure(ended), { code: 5, tag: "DialError", reason: "Rejected" })
    })
  )
})

describe.concurrent("exit code 5, over noise, whose hello is for one key and one stack:", () => {
  it.live("it holds another key than the address has, and that is named", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~noise", "--echo")
      const { address: other } = yield* listenInside("net:127.0.0.1:0~noise", "--echo")
      const ended = yield* inside(["connect", "--json", `${address.split("~")[0]}~${other.split("~")[1]}`])
      assert.deepStrictEqual(failure(ended), { code: 5, tag: "DialError", reason: "Rejected" })
      assert.include(String(eventsOf(ended.stderr).at(-1)?.message), "does not hold the key of the address")
    })
  )

  it.live("it serves another stack", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~noise", "--echo")
      const ended = yield* inside(["connect", "--json", `${address}~deflate`])
      assert.deepStrictEqual(failure(ended), { code: 5, tag: "DialError", reason: "Rejected" })
      assert.include(String(eventsOf(ended.stderr).at(-1)?.message), "serves another stack")
    })
  )
})

describe.concurrent("exit code 6, rejected after we authenticated:", () => {
  it.live("it refuses our key, and lets in whom it allows", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "key")
      const allowed = String((yield* inside(["keygen", "--output", file])).stdout).trim()
      const { address, listener } = yield* listenInside(
        "net:127.0.0.1:0~shs",
        "--echo",
        "--allow",
        key,
        "--allow",
        allowed
      )
      const stranger = yield* run(["connect", "--json", address])
      assert.deepStrictEqual(failure(stranger), { code: 6, tag: "DialError", reason: "Rejected" })
      assert.deepInclude(yield* listener.event("handshake-failed"), { reason: "NotAuthorized" })
      const friend = yield* inside(["connect", "--key-file", file, address], { input: "let me in" })
      assert.strictEqual(friend.code, 0)
      assert.strictEqual(String(friend.stdout), "let me in")
    })
  )

  it.live("it does not hold the key of the address, and of several attempts that says most", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const { address: other } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const wrong = `${address.split("~")[0]}~${other.split("~")[1]}`
      const alone = yield* inside(["connect", "--json", wrong])
      assert.deepStrictEqual(failure(alone), { code: 6, tag: "DialError", reason: "Rejected" })
      const among = yield* inside(["connect", "--json", `net:127.0.0.1:1;${wrong};net:127.0.0.1:1`])
      assert.deepStrictEqual(failure(among), { code: 6, tag: "DialError", reason: "AllFailed" })
    })
  )
})

describe.concurrent("exit code 7, broken or truncated:", () => {
  it.live("the listener is gone without a goodbye", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs")
      const connect = yield* start(["connect", "--json", address])
      yield* connect.event("connected")
      yield* listener.kill("SIGKILL")
      assert.deepStrictEqual(failure(yield* connect.exit), { code: 7, tag: "ConnectionError", reason: "Truncated" })
      assert.deepInclude(yield* connect.event("closed"), { reason: "Truncated" })
    })
  )

  it.live("the dialer is gone without a goodbye, in the middle of what it sends", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs")
      const connect = yield* start(["connect", address])
      yield* connect.write("half of wh")
      yield* listener.received(10)
      yield* connect.kill("SIGKILL")
      const { code, stderr, stdout } = yield* listener.exit
      assert.strictEqual(code, 7)
      assert.strictEqual(String(stdout), "half of wh")
      assert.deepInclude(eventsOf(stderr).at(-1), { event: "error", tag: "ConnectionError", reason: "Truncated" })
    })
  )
})
