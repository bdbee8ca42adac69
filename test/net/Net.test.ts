import * as fs from "node:fs"
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Address from "../../src/Address.ts"
import * as Connection from "../../src/Connection.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { reachOf } from "../../src/sockets/ip.ts"
import {
  echo,
  limits,
  multiserver,
  pair,
  pattern,
  protocols,
  readAll,
  sameBytes,
  served,
  turns,
  until
} from "../support/servers.ts"

/** A plain TCP server of Node's, and the sockets it accepts. */
const plainServer = (onSocket: (socket: net.Socket) => void, host = "127.0.0.1", options: net.ServerOpts = {}) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: net.Server; readonly port: number; readonly sockets: Set<net.Socket> }>(
      (resume) => {
        const sockets = new Set<net.Socket>()
        const server = net.createServer(options, (socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          onSocket(socket)
        })
        server.listen(0, host, () =>
          resume(Effect.succeed({ server, sockets, port: (server.address() as net.AddressInfo).port }))
        )
      }
    ),
    ({ server, sockets }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )

/** The timer that the kernel runs for the connection between two loopback ports. */
const kernelTimer = (local: number, remote: number) => {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0")
  const line = fs
    .readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .find((each) => new RegExp(`0100007F:${hex(local)} 0100007F:${hex(remote)} 01`).test(each))
  const [kind, left] = line?.trim().split(/\s+/)[5]?.split(":") ?? []
  return { kind: Number.parseInt(kind ?? "", 16), centiseconds: Number.parseInt(left ?? "", 16) }
}

/** What a client that only reads makes of an end: what came before it, and whether it was a reset. */
const seenBy = (address: Address.Address | undefined, said = "") =>
  Effect.callback<{ readonly text: string; readonly end: string }>((resume) => {
    const port = address?.transport._tag === "net" ? address.transport.port : 0
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    let text = ""
    const answer = (end: string) => {
      socket.destroy()
      resume(Effect.succeed({ text, end }))
    }
    socket.on("data", (bytes) => {
      text += String(bytes)
    })
    socket.once("end", () => answer("FIN")).once("error", ({ code }: NodeJS.ErrnoException) => answer(String(code)))
    socket.write(said)
  })

describe("net without keys", () => {
  const half = (connection: Connection.Connection) =>
    Effect.andThen(connection.write(Buffer.from("half")), connection.flush)

  it.live.each([
    ["whose handler fails", () => Effect.fail("no")],
    ["whose handler is interrupted", () => Effect.interrupt],
    ["whose handler throws", () => Effect.die("a defect")],
    ["that is destroyed", Connection.destroy],
    [
      "that is destroyed with bytes that the kernel has not taken",
      (connection: Connection.Connection) =>
        Effect.andThen(
          Effect.forkScoped(connection.write(pattern(8 << 20))),
          Effect.andThen(turns, Connection.destroy(connection))
        )
    ]
  ] as const)("resets a connection %s: its FIN would say that all was said", ([, breakOff]) =>
    Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0", (connection) =>
        Effect.andThen(half(connection), breakOff(connection))
      )
      assert.strictEqual((yield* seenBy(address)).end, "ECONNRESET")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("resets one that is idle for too long", () =>
    Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0", (connection) => Effect.andThen(half(connection), Effect.never))
      assert.deepStrictEqual(yield* seenBy(address), { text: "half", end: "ECONNRESET" })
    }).pipe(
      Effect.provide(
        Multiserver.layer(["net"]).pipe(
          Layer.provide([protocols(), Limits.layer({ ...limits, idle: Duration.millis(50) })])
        )
      )
    )
  )

  it.live("resets a dialed one that is interrupted", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      const { port } = yield* plainServer((socket) =>
        socket
          .on("data", () => {})
          .on("end", () => ends.push("FIN"))
          .on("error", () => ends.push("reset"))
      )
      const heard = Latch.makeUnsafe(false)
      const dialing = yield* Multiserver.dial(`net:127.0.0.1:${port}`).pipe(
        Effect.flatMap((connection) => Effect.andThen(half(connection), Effect.andThen(heard.open, Effect.never))),
        Effect.scoped,
        Effect.forkChild
      )
      yield* heard.await
      yield* turns
      yield* Fiber.interrupt(dialing)
      yield* until(() => ends.length > 0)
      assert.deepStrictEqual(ends, ["reset"])
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("resets nothing after its own end: what the peer has yet to read of it is whole", () =>
    Effect.gen(function* () {
      const bytes = pattern(4 << 20)
      const [address] = yield* served("net:127.0.0.1:0", (connection) =>
        connection.write(bytes).pipe(
          Effect.andThen(connection.end),
          // The kernel has taken it all, and the peer has not read it yet.
          Effect.andThen(connection.flush),
          Effect.andThen(Effect.fail("after all was said"))
        )
      )
      const connection = yield* Multiserver.dial(address as Address.Address)
      yield* connection.end
      assert.isTrue(sameBytes(yield* readAll(connection), bytes))
      yield* turns
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("resets nothing over keys, where an end without a goodbye says it", () =>
    Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", echo)
      // One byte too many is no hello.
      assert.deepStrictEqual(yield* seenBy(address, "x".repeat(64)), { text: "", end: "FIN" })
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("net", () => {
  it.live("goes on reading after its FIN, as the peer does after ours", () =>
    Effect.gen(function* () {
      // Node's default would close at our FIN and drop what it owes; half-open on both sides loses nothing.
      const { port } = yield* plainServer(
        (socket) => {
          const chunks: Array<Buffer> = []
          socket.on("data", (chunk) => chunks.push(chunk))
          socket.on("end", () => setTimeout(() => socket.end(Buffer.concat(chunks)), 20))
        },
        "127.0.0.1",
        { allowHalfOpen: true }
      )
      const connection = yield* Multiserver.dial(`net:127.0.0.1:${port}`)
      yield* Effect.forkChild(Effect.andThen(connection.write(pattern(2 << 20)), connection.end))
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(2 << 20)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("sends a batch as one write", () =>
    Effect.gen(function* () {
      let writes = 0
      const { port } = yield* plainServer((socket) => socket.on("data", () => writes++))
      const connection = yield* Multiserver.dial(`net:127.0.0.1:${port}`)
      yield* connection.writeAll([pattern(10), pattern(20), pattern(30)])
      yield* connection.flush
      yield* until(() => writes > 0)
      yield* turns
      assert.strictEqual(writes, 1)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("reaches IPv6, bare and in brackets, and a name that has both families", () =>
    Effect.gen(function* () {
      const [six] = yield* served("net:::1:0~shs", echo)
      assert.match(String(six), /^net:::1:\d+~shs:/)
      for (const text of [String(six), String(six).replace("net:::1:", "net:[::1]:")]) {
        const connection = yield* Multiserver.dial(text)
        assert.match(String(connection.remote), /^net:::1:\d+~shs:/)
      }
      // localhost may be ::1 first: the family that answers wins.
      const [four] = yield* served("net:127.0.0.1:0~shs", echo)
      const connection = yield* Multiserver.dial(String(four).replace("127.0.0.1", "localhost"))
      assert.match(String(connection.remote), /^net:127\.0\.0\.1:/)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("writes an IPv4 peer of an IPv6 listener as IPv4", () =>
    Effect.gen(function* () {
      const remotes: Array<string> = []
      const [address] = yield* served("net::::0", (connection) =>
        Effect.sync(() => void remotes.push(String(connection.remote)))
      )
      const port = address?.transport._tag === "net" ? address.transport.port : 0
      const connection = yield* Multiserver.dial(`net:127.0.0.1:${port}`)
      yield* Effect.flip(connection.pull)
      assert.match(remotes[0] ?? "", /^net:127\.0\.0\.1:\d+$/)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("has no delay: small questions and answers take no 40 ms each", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~shs")
      yield* Effect.forkScoped(echo(far))
      const question = Effect.andThen(near.write(pattern(10)), near.pull)
      const took: Array<number> = []
      for (let i = 0; i < 200; i++) {
        const [duration] = yield* Effect.timed(question)
        took.push(Duration.toMillis(duration))
      }
      // With Nagle and delayed acknowledgements each takes 85 ms. Without, a busy machine holds some of them up, but
      // not half.
      const quick = took.filter((millis) => millis < 40).length
      assert.isAbove(quick, 100)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("keeps its memory flat while a peer doesn't read, and the peer's reader while nobody pulls", () =>
    Effect.gen(function* () {
      const { port } = yield* plainServer((socket) => socket.pause())
      const connection = yield* Multiserver.dial(`net:127.0.0.1:${port}`)
      const offered = yield* Effect.forkChild(Effect.forever(connection.write(new Uint8Array(256 * 1024))))
      yield* Effect.repeat(turns, { times: 10 })
      const before = process.memoryUsage()
      yield* Effect.sleep("300 millis")
      const after = process.memoryUsage()
      assert.isUndefined(offered.pollUnsafe())
      assert.isBelow(after.external + after.arrayBuffers - before.external - before.arrayBuffers, 16 << 20)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("tells of a reset while nobody reads, on the next write", () =>
    Effect.gen(function* () {
      const { port, sockets } = yield* plainServer(() => {})
      const connection = yield* Multiserver.dial(`net:127.0.0.1:${port}`)
      yield* until(() => sockets.size === 1)
      for (const socket of sockets) socket.resetAndDestroy()
      yield* turns
      const error = yield* Effect.flip(connection.write(pattern(10)))
      assert.strictEqual(error.reason._tag, "Reset")
      const end = yield* Effect.flip(connection.pull)
      assert.isTrue(!Cause.isDone(end) && end.reason._tag === "Reset" && end.isRetryable)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live.runIf(fs.existsSync("/proc/net/tcp"))(
    "has the kernel look for a vanished peer, on both sides, after a minute",
    () =>
      Effect.gen(function* () {
        const [near, far] = yield* pair("net:127.0.0.1:0~shs")
        const portOf = ({ remote }: Connection.Connection) =>
          remote.transport._tag === "net" ? remote.transport.port : 0
        // The listener's port is what the dialer sees, and the other way round.
        for (const [local = 0, remote = 0] of [
          [portOf(far), portOf(near)],
          [portOf(near), portOf(far)]
        ]) {
          // Until the last bytes are acknowledged, the kernel's timer is another one.
          yield* until(() => kernelTimer(local, remote).kind === 2)
          const timer = kernelTimer(local, remote)
          // 2 is the keep-alive timer; it counts in hundredths of a second.
          assert.strictEqual(timer.kind, 2)
          assert.isBelow(timer.centiseconds, 6100)
          assert.isAbove(timer.centiseconds, 3000)
        }
      }).pipe(Effect.provide(multiserver()))
  )

  it("knows how far an address reaches", () => {
    const hosts: ReadonlyArray<readonly [string, string]> = [
      ["localhost", "device"],
      ["127.0.0.1", "device"],
      ["127.9.9.9", "device"],
      ["::1", "device"],
      ["::ffff:127.0.0.1", "device"],
      ["::ffff:7f00:1", "device"],
      ["10.1.2.3", "local"],
      ["192.168.0.1", "local"],
      ["::ffff:192.168.0.1", "local"],
      ["fe80::1%eth0", "local"],
      ["fd00::1", "local"],
      ["169.254.1.1", "local"],
      ["8.8.8.8", "public"],
      ["2001:4860:4860::8888", "public"],
      ["0.0.0.0", "public"],
      ["pub.example", "public"]
    ]
    for (const [host, reach] of hosts) assert.strictEqual(reachOf(host), reach, host)
    assert.isTrue(Address.maxSections > 1)
  })
})
