import { connect, createServer, type Server } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { inside, listenInside } from "./inside.ts"
import { eventsOf, run } from "./support.ts"

const decode = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      address: Schema.String,
      reached: Schema.Boolean,
      stack: Schema.optionalKey(Schema.String),
      remote: Schema.optionalKey(Schema.String),
      peer: Schema.optionalKey(Schema.NullOr(Schema.String)),
      connectMillis: Schema.optionalKey(Schema.Int),
      handshakeMillis: Schema.optionalKey(Schema.Int),
      millis: Schema.Int,
      reason: Schema.optionalKey(Schema.String),
      message: Schema.optionalKey(Schema.String)
    })
  )
)

/** What it says on stdout, an object a line. */
const probe = (...args: ReadonlyArray<string>) =>
  Effect.map(inside(["probe", "--json", ...args]), ({ code, stderr, stdout }) => ({
    code,
    events: eventsOf(stderr),
    probed: String(stdout)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => decode(line))
  }))

/**
 * A SOCKS proxy to this port of ours, which takes 300 ms to connect, and passes the first bytes of its client on as
 * long after.
 */
const slowProxy = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const server = createServer((socket) => {
          socket.on("error", () => {})
          socket.once("data", () => {
            socket.write(Uint8Array.of(5, 0))
            socket.once("data", () => {
              setTimeout(() => socket.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0)), 300)
              const onward = connect(port, "127.0.0.1").on("error", () => {})
              onward.pipe(socket)
              socket.once("data", (first) => {
                socket.pause()
                setTimeout(() => {
                  onward.write(first)
                  socket.pipe(onward)
                }, 300)
              })
            })
          })
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => {
      const bound = server.address()
      return `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`
    }
  )

describe.concurrent("probe", () => {
  it.live("says who is there and how long each step took, and closes with a goodbye", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const { code, events, probed } = yield* probe(address)
      assert.strictEqual(code, 0)
      assert.isEmpty(events)
      assert.lengthOf(probed, 1)
      const peer = address.split("~shs:")[1] ?? ""
      assert.deepInclude(probed[0], { address, reached: true, stack: "net~shs", remote: address, peer })
      const { connectMillis = -1, handshakeMillis = -1, millis = -1 } = probed[0] ?? {}
      assert.isAtLeast(connectMillis, 0)
      assert.isAtLeast(handshakeMillis, 0)
      assert.strictEqual(connectMillis + handshakeMillis, millis)
      assert.deepInclude(yield* listener.event("closed"), { bytesRead: 0, reason: "end" })
    })
  )

  it.live("tells a slow way from a slow handshake", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const [, port, key] = /:(\d+)~shs:(.+)$/.exec(address) ?? []
      const onion = `onion:${"a".repeat(56)}.onion:80~shs:${key}`
      const { code, probed } = yield* probe("--socks", yield* slowProxy(Number(port)), onion)
      assert.strictEqual(code, 0)
      assert.isAtLeast(probed[0]?.connectMillis ?? 0, 250)
      assert.isAtLeast(probed[0]?.handshakeMillis ?? 0, 250)
      assert.deepInclude(probed[0], { remote: onion, stack: "onion~shs" })
    })
  )

  it.live("tries each address of several, and is content with one that answers", () =>
    Effect.gen(function* () {
      const { listener } = yield* listenInside("net:127.0.0.1:0~shs", "ws://127.0.0.1:0", "--echo")
      const { addresses: [tcp = "", web = ""] = [] } = yield* listener.event("listening")
      const { code, events, probed } = yield* probe(`${tcp};net:127.0.0.1:1;${web}`)
      assert.strictEqual(code, 0)
      assert.isEmpty(events)
      assert.deepStrictEqual(
        probed.map(({ address, peer, reached, reason }) => ({ address, peer, reached, reason })),
        [
          { address: tcp, peer: tcp.split("~shs:")[1], reached: true, reason: undefined },
          { address: "net:127.0.0.1:1", peer: undefined, reached: false, reason: "Refused" },
          { address: web, peer: null, reached: true, reason: undefined }
        ]
      )
    })
  )

  it.live("says it in lines for people", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const { code, stderr, stdout } = yield* run(["probe", `${address};net:127.0.0.1:1`])
      assert.strictEqual(code, 0)
      assert.strictEqual(stderr, "")
      const peer = address.split("~shs:")[1]?.replaceAll("+", "\\+")
      const steps = ["  connect +\\d+ ms", "  handshake +\\d+ ms", "  remote +net:[^ ]+", `  peer +${peer}`]
      const failed = "net:127.0.0.1:1\\n  failed +after \\d+ ms: .*refused"
      assert.match(String(stdout), new RegExp(`^net:[^ ]+\\n${steps.join("\\n")}\\n${failed}`))
    })
  )

  it.live("exits as connect does when none answers", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const { address: other } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const wrong = `${address.split("~")[0]}~${other.split("~")[1]}`
      const refused = yield* probe("net:127.0.0.1:1")
      assert.strictEqual(refused.code, 3)
      assert.deepInclude(refused.events[0], { event: "error", tag: "DialError", reason: "Refused" })
      assert.deepInclude(refused.probed[0], { reached: false, reason: "Refused" })
      const among = yield* probe(`net:127.0.0.1:1;${wrong}`)
      assert.strictEqual(among.code, 6)
      assert.deepInclude(among.events[0], { event: "error", reason: "AllFailed" })
      assert.deepStrictEqual(
        among.probed.map(({ reason }) => reason),
        ["Refused", "Rejected"]
      )
    })
  )

  it.live("--race is one dial to all, and says which one won", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const all = `net:127.0.0.1:1;${address}`
      const { code, probed } = yield* probe("--race", all)
      assert.strictEqual(code, 0)
      assert.lengthOf(probed, 1)
      assert.deepInclude(probed[0], { address: all, reached: true, remote: address })
    })
  )
})
