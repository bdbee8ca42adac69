import { execFileSync, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Limits from "../../src/Limits.ts"
import { listenInside, startInside } from "./inside.ts"
import { bridgeGranting, eventsOf, folder, listen, listenGranting, start, unbound } from "./support.ts"

/** A service that stops in good order has not failed; SIGINT is a person who breaks off. */
const signals: ReadonlyArray<readonly [signal: NodeJS.Signals, stopped: number, ended: number]> = [
  ["SIGINT", 130, 130],
  ["SIGTERM", 0, 143],
  ["SIGHUP", 0, 129]
]

const key = "ZMYOtahB0BwspMdkuFCoQdBWRKXlTZaoWkL/CbL34qI="

/** A server that says nothing, and when somebody has said something to it. */
const mute = Effect.acquireRelease(
  Effect.callback<{ readonly server: net.Server; readonly port: number; readonly arrived: Effect.Effect<void> }>(
    (resume) => {
      const said = Deferred.makeUnsafe<void>()
      const server = net.createServer((socket) =>
        socket.on("error", () => {}).once("data", () => Deferred.doneUnsafe(said, Effect.void))
      )
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = address !== null && typeof address === "object" ? address.port : 0
        resume(Effect.succeed({ server, port, arrived: Deferred.await(said) }))
      })
    }
  ),
  ({ server }) => Effect.sync(() => void server.close())
)

describe.concurrent.each(signals)("on %s", (signal, stopped, code) => {
  it.live(`listen --echo gives its peers their goodbye, and exits ${stopped}`, () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs", "--echo")
      const peers = yield* Effect.replicateEffect(startInside(["connect", "--json", address]), 2)
      for (const peer of peers) {
        yield* peer.write("hello")
        yield* peer.received(5)
      }
      yield* listener.kill(signal)
      const ended = yield* listener.exit
      assert.strictEqual(ended.code, stopped)
      const closed = eventsOf(ended.stderr).filter(({ event }) => event === "closed")
      assert.deepStrictEqual(
        closed.map(({ bytesRead, bytesWritten }) => [bytesRead, bytesWritten]),
        [
          [5, 5],
          [5, 5]
        ]
      )
      for (const peer of peers) {
        yield* peer.end()
        assert.strictEqual((yield* peer.exit).code, 0)
      }
    })
  )

  it.live(`connect ends at once, without a goodbye, and exits ${code}`, () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs")
      const connect = yield* start(["connect", "--json", address])
      yield* connect.event("connected")
      yield* connect.kill(signal)
      assert.strictEqual((yield* connect.exit).code, code)
      assert.strictEqual((yield* listener.exit).code, 7)
    })
  )

  it.live(`bridge that nobody has connected to exits ${stopped}`, () =>
    Effect.gen(function* () {
      const { bridge } = yield* bridgeGranting("10 minutes")("net:127.0.0.1:0", "net:127.0.0.1:1")
      yield* bridge.kill(signal)
      assert.strictEqual((yield* bridge.exit).code, stopped)
    })
  )

  it.live(`probe ends at once, and exits ${code}`, () =>
    Effect.gen(function* () {
      const { arrived, port } = yield* mute
      const probe = yield* start(["probe", "--json", "--timeout", "1h", `net:127.0.0.1:${port}~shs:${key}`])
      yield* arrived
      yield* probe.kill(signal)
      assert.strictEqual((yield* probe.exit).code, code)
    })
  )

  it.live(`listen that nobody has connected to exits ${stopped}`, () =>
    Effect.gen(function* () {
      const { listener } = yield* listen("net:127.0.0.1:0~shs")
      yield* listener.kill(signal)
      assert.strictEqual((yield* listener.exit).code, stopped)
    })
  )
})

describe.concurrent("a listener whose stdin is open at a signal", () => {
  it.live("sends what it still has within the grace time, and says goodbye", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenGranting("10 minutes")("net:127.0.0.1:0~shs")
      const connect = yield* startInside(["connect", "--json", address])
      yield* listener.write("what is said before, ")
      yield* connect.received(21)
      yield* listener.kill("SIGTERM")
      yield* unbound(address)
      yield* listener.end("and after")
      yield* connect.end()
      const connected = yield* connect.exit
      assert.strictEqual(String(connected.stdout), "what is said before, and after")
      assert.strictEqual(connected.code, 0)
      assert.strictEqual((yield* listener.exit).code, 0)
    })
  )

  const stopping = (grace: string) =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenGranting(grace)("net:127.0.0.1:0~shs")
      const connect = yield* startInside(["connect", "--json", address])
      yield* connect.event("connected")
      yield* listener.kill("SIGTERM")
      return { address, listener, connect }
    })

  // The ten seconds of docs/cli.md are the defaults' sum; that it is these that end it, a shorter one shows.
  it.live("ends its connection within 10 s, without a goodbye", () =>
    Effect.gen(function* () {
      const { close, grace } = Limits.defaults
      assert.isBelow(Duration.toSeconds(grace) + Duration.toSeconds(close), 10)
      const { connect, listener } = yield* stopping("1 second")
      const ended = yield* listener.exit
      assert.strictEqual(ended.code, 143)
      assert.deepInclude(eventsOf(ended.stderr).at(-1), { event: "closed", reason: "LocallyClosed" })
      assert.strictEqual((yield* connect.exit).code, 7)
    })
  )

  it.live("ends at once at a second one", () =>
    Effect.gen(function* () {
      // What is over within the time of a test was not granted.
      const { address, listener } = yield* stopping("1 hour")
      yield* unbound(address)
      assert.isNull(listener.child.exitCode)
      yield* listener.kill("SIGINT")
      const ended = yield* listener.exit
      assert.strictEqual(ended.code, 130)
      // Nothing was waited for: the connection was not even closed.
      assert.notInclude(ended.stderr, '"closed"')
    })
  )
})

it.live("signals end a command that reads a pipe into which nobody writes", () =>
  Effect.gen(function* () {
    const file = `${yield* folder}/pipe`
    execFileSync("mkfifo", [file])
    const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url))
    const child = spawn(process.execPath, [main, "address", "--address-file", file], { stdio: "ignore" })
    const ended = yield* Deferred.make<string | number | null>()
    child.once("exit", (code, signal) => Deferred.doneUnsafe(ended, Effect.succeed(signal ?? code)))
    // It can be opened when the command has opened it, too.
    const descriptor = yield* Effect.callback<number>((resume) =>
      fs.open(file, "w", (error, opened) => resume(error === null ? Effect.succeed(opened) : Effect.die(error)))
    )
    // Two signals that come in one moment may be one.
    const again = Effect.repeat(
      Effect.sync(() => child.kill("SIGTERM")),
      Schedule.spaced("100 millis")
    )
    assert.strictEqual(yield* Effect.raceFirst(Deferred.await(ended), Effect.andThen(again, Effect.never)), "SIGTERM")
    fs.closeSync(descriptor)
  })
)
