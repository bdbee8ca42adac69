/** `listen` and `connect` as two processes: what goes in at one end comes out at the other. */
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { inside, listenInside, startInside } from "./inside.ts"
import { eventsOf, folder, listen, run, sha256, start } from "./support.ts"

const MiB = 1024 * 1024

const pairs = [
  { target: "net:127.0.0.1:0~shs", where: "as processes", start },
  { target: "net:127.0.0.1:0", where: "within one", start: startInside }
] as const

describe.concurrent.each(pairs)("listen $target and connect, $where,", ({ start, target }) => {
  const listen = Effect.gen(function* () {
    const listener = yield* start(["listen", "--json", target])
    return { listener, address: yield* listener.address }
  })

  it.live("carry stdin to stdout both ways, to the last byte", () =>
    Effect.gen(function* () {
      const [there, back] = [randomBytes(5 * MiB + 1), randomBytes(3 * MiB + 1)]
      const { address, listener } = yield* listen
      yield* listener.end(back)
      const connect = yield* start(["connect", "--json", address])
      yield* connect.end(there)
      const [connected, listened] = [yield* connect.exit, yield* listener.exit]
      assert.deepStrictEqual([connected.code, listened.code], [0, 0])
      assert.strictEqual(sha256(connected.stdout), sha256(back))
      assert.strictEqual(sha256(listened.stdout), sha256(there))
    })
  )

  it.live("go on reading after the end of stdin, until the peer's goodbye", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listen
      const connect = yield* start(["connect", address])
      yield* connect.end("question")
      assert.strictEqual(String(yield* listener.received(8)), "question")
      yield* listener.write("long after ")
      assert.strictEqual(String(yield* connect.received(11)), "long after ")
      yield* listener.end("the end")
      assert.strictEqual(String((yield* connect.exit).stdout), "long after the end")
      assert.strictEqual((yield* listener.exit).code, 0)
    })
  )

  it.live("go on sending after the peer's goodbye, until the end of stdin", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listen
      yield* listener.end("goodbye")
      const connect = yield* start(["connect", "--json", address])
      yield* connect.received(7)
      yield* connect.end("all the same")
      assert.strictEqual((yield* connect.exit).code, 0)
      assert.strictEqual(String((yield* listener.exit).stdout), "all the same")
    })
  )
})

describe.concurrent("listen", () => {
  it.live("stops who sends while nobody reads stdout, and loses nothing", () =>
    Effect.gen(function* () {
      const listener = yield* start(["listen", "--json", "net:127.0.0.1:0~shs"], { unread: true })
      yield* listener.end()
      const connect = yield* start(["connect", "--json", yield* listener.address])
      yield* connect.event("connected")
      const bytes = randomBytes(64 * MiB)
      let sent = 0
      const sending = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (; sent < bytes.length; sent += MiB) yield* connect.write(bytes.subarray(sent, sent + MiB))
          yield* connect.end()
        })
      )
      // Until it stalls: the pipes, the sockets and the bounded buffers are full.
      for (let before = -1; before < sent || sent === 0; ) {
        before = sent
        yield* Effect.sleep("700 millis")
      }
      assert.isBelow(sent, 32 * MiB)
      listener.collect()
      yield* Fiber.join(sending)
      assert.strictEqual(sha256((yield* listener.exit).stdout), sha256(bytes))
      assert.strictEqual((yield* connect.exit).code, 0)
    })
  )

  it.live("says where it listens, who connected, and how that went", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "key")
      const peer = String((yield* inside(["keygen", "--output", file])).stdout).trim()
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs")
      yield* listener.end("12345")
      yield* inside(["connect", "--key-file", file, address], { input: "123" })
      const [listening, connected, closed, ...more] = eventsOf((yield* listener.exit).stderr)
      assert.lengthOf(more, 0)
      assert.deepInclude(listening, { event: "listening", addresses: [address] })
      assert.deepInclude(connected, { event: "connected", peer })
      assert.match(connected?.address ?? "", /^net:127\.0\.0\.1:\d+~shs:/)
      assert.deepInclude(closed, { event: "closed", peer, bytesRead: 3, bytesWritten: 5, reason: "end" })
      assert.strictEqual(closed?.address, connected?.address)
    })
  )

  it.live("says it in lines for people, too, and never on stdout", () =>
    Effect.gen(function* () {
      const listener = yield* start(["listen", "net:127.0.0.1:0"])
      const [line] = yield* listener.lines(1)
      const address = /^listening on (net:127\.0\.0\.1:\d+)$/.exec(line ?? "")?.[1] ?? ""
      yield* listener.end()
      const { stderr, stdout } = yield* run(["connect", address])
      assert.strictEqual(String(stdout), "")
      const end = "0 bytes in, 0 bytes out; both sides have ended\n"
      assert.strictEqual(stderr, `connected with ${address}\nclosed ${address}: ${end}`)
      const listened = yield* listener.exit
      assert.match(listened.stderr, /\nconnected with net:/)
      assert.isTrue(listened.stderr.endsWith(end))
      assert.strictEqual(String(listened.stdout), "")
    })
  )

  it.live("bridges one peer, and turns the next away while it does", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs")
      const first = yield* startInside(["connect", "--json", address])
      yield* first.event("connected")
      assert.strictEqual((yield* inside(["connect", address])).code, 5)
      yield* listener.event("refused")
      yield* Effect.all([first.end("still here"), listener.end()])
      assert.strictEqual((yield* first.exit).code, 0)
      assert.strictEqual(String((yield* listener.exit).stdout), "still here")
    })
  )

  it.live("waits for the next when a handshake fails", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs")
      const other = Buffer.alloc(32, 7).toString("base64")
      assert.strictEqual((yield* inside(["connect", "--app-key", other, address])).code, 5)
      assert.deepInclude(yield* listener.event("handshake-failed"), { reason: "WrongNetwork" })
      yield* listener.end()
      assert.strictEqual((yield* inside(["connect", address], { input: "hello" })).code, 0)
      assert.strictEqual(String((yield* listener.exit).stdout), "hello")
    })
  )

  it.live("ends with success when who reads stdout has had enough, without a goodbye", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listen("net:127.0.0.1:0~shs")
      const connect = yield* startInside(["connect", address])
      yield* connect.write("y\n")
      yield* listener.received(2)
      listener.child.stdout.destroy()
      yield* connect.write("y\n")
      const { code, stderr } = yield* listener.exit
      assert.strictEqual(code, 0)
      assert.deepInclude(eventsOf(stderr).at(-1), { event: "closed", reason: "LocallyClosed" })
      yield* connect.end()
      assert.strictEqual((yield* connect.exit).code, 7)
    })
  )

  it.live("--echo serves many at a time", () =>
    Effect.gen(function* () {
      const { address } = yield* listen("net:127.0.0.1:0~shs", "--echo")
      const held = yield* startInside(["connect", "--json", address])
      yield* held.event("connected")
      yield* Effect.forEach(
        [0, 1, 2 * MiB],
        (size) =>
          Effect.gen(function* () {
            const input = randomBytes(size)
            const { code, stdout } = yield* inside(["connect", address], { input })
            assert.strictEqual(code, 0)
            assert.strictEqual(sha256(stdout), sha256(input))
          }),
        { concurrency: "unbounded" }
      )
      yield* held.end("last")
      assert.strictEqual(String((yield* held.exit).stdout), "last")
    })
  )

  it.live("--echo --once ends after one", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs", "--echo", "--once")
      assert.strictEqual(String((yield* inside(["connect", address], { input: "one" })).stdout), "one")
      assert.strictEqual((yield* listener.exit).code, 0)
      assert.strictEqual((yield* inside(["connect", address])).code, 3)
    })
  )

  it.live("listens on several addresses", () =>
    Effect.gen(function* () {
      const { listener } = yield* listenInside("net:127.0.0.1:0~shs", "net:127.0.0.1:0;net:[::1]:0", "--echo")
      const { addresses = [] } = yield* listener.event("listening")
      assert.lengthOf(addresses, 3)
      for (const address of addresses) {
        assert.strictEqual(String((yield* inside(["connect", address], { input: address })).stdout), address)
      }
    })
  )

  it.live("speaks as a new key each time, without --key-file", () =>
    Effect.gen(function* () {
      const [one, other] = yield* Effect.all([listenInside("net:127.0.0.1:0~shs"), listenInside("net:127.0.0.1:0~shs")])
      assert.notStrictEqual(one.address.split("~")[1], other.address.split("~")[1])
    })
  )
})

describe.concurrent("connect", () => {
  it.live("speaks as the key of an address's seed", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const withSeed = `${address}:${Buffer.alloc(32, 1).toString("base64")}`
      const { code, stderr } = yield* run(["connect", "--json"], { env: { MULTISERVER_ADDRESS: withSeed } })
      assert.strictEqual(code, 0)
      assert.notInclude(stderr, "warning")
      // The public key of that seed.
      const peer = "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
      assert.deepInclude(yield* listener.event("connected"), { peer })
      const named = yield* inside(["connect", "--json", withSeed])
      assert.strictEqual(named.code, 0)
      assert.strictEqual(eventsOf(named.stderr)[0]?.event, "warning")
    })
  )

  it.live("takes the address and the app key from files", () =>
    Effect.gen(function* () {
      const path = yield* folder
      writeFileSync(join(path, "app-key"), `${Buffer.alloc(32, 9).toString("base64")}\n`)
      const appKey = ["--app-key-file", join(path, "app-key")]
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo", ...appKey)
      writeFileSync(join(path, "address"), `${address}\n`)
      const args = ["connect", "--address-file", join(path, "address")]
      assert.strictEqual(String((yield* inside([...args, ...appKey], { input: "in" })).stdout), "in")
      assert.strictEqual((yield* inside(args)).code, 5)
    })
  )

  it.live("goes on to the next address when one fails", () =>
    Effect.gen(function* () {
      const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const { code, stdout } = yield* inside(["connect", `net:127.0.0.1:1;${address}`], { input: "here" })
      assert.strictEqual(code, 0)
      assert.strictEqual(String(stdout), "here")
    })
  )

  it.live("ends with success when who reads stdout has had enough", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs")
      const connect = yield* start(["connect", address])
      yield* listener.write("y\n")
      yield* connect.received(2)
      connect.child.stdout.destroy()
      yield* listener.end(randomBytes(MiB))
      const { code, stderr } = yield* connect.exit
      assert.strictEqual(code, 0)
      assert.notInclude(stderr, "error")
      // Not all was said, so there was no goodbye: the listener doesn't take it for one.
      assert.strictEqual((yield* listener.exit).code, 7)
    })
  )
})
