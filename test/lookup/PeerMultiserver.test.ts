/** Dialing peers by their keys. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../../src/Address.ts"
import type { AddressRecord } from "../../src/AddressRecord.ts"
import * as Connection from "../../src/Connection.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import type { DialError } from "../../src/DialError.ts"
import * as Identity from "../../src/Identity.ts"
import * as Lookup from "../../src/Lookup.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as Onion from "../../src/onion/Onion.ts"
import * as PeerMultiserver from "../../src/PeerMultiserver.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { echo, served, turns } from "../support/servers.ts"
import { keyPair, record, signed, source } from "./support.ts"

const stacks = ["memory~shs", "memory~noise", "net~shs", "ws~shs"] as const

/** A Multiserver of this identity; all of a test share one memory. */
const speaking = (pair: Identity.KeyPair) =>
  Multiserver.layer(stacks).pipe(
    Layer.provide([Net.layer(), WebSocket.layer(), Shs.layer(), Noise.layer()]),
    Layer.provide([Layer.succeed(Identity.Identity, pair), Sodium.layer])
  )

const peerOf = ({ publicKey }: Identity.KeyPair) => `peer:${Identity.formatPublicKey(publicKey)}`
const shs = ({ publicKey }: Identity.KeyPair) => `shs:${Identity.formatPublicKey(publicKey)}`
const noise = ({ publicKey }: Identity.KeyPair) => `noise:${Identity.formatPublicKey(publicKey)}`

/** Listens as this identity as long as the test. */
const listening = (pair: Identity.KeyPair, target: string) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(speaking(pair))
    yield* Effect.provide(
      Effect.flatMap(Multiserver.listen(target), (listener) => Effect.forkScoped(listener.run(echo))),
      context
    )
  })

/** Dials as a stranger who asks these sources, and may dial this device. */
const dialing = (sources: ReadonlyArray<Lookup.Source>, options: PeerMultiserver.Options = { dial: {} }) =>
  Layer.unwrap(
    Effect.map(keyPair, (pair) =>
      PeerMultiserver.layer(options).pipe(
        Layer.provide(Lookup.layer(sources.map((each) => Effect.succeed(each)))),
        Layer.provide(speaking(pair)),
        Layer.provide([Layer.succeed(Identity.Identity, pair), Sodium.layer]),
        Layer.orDie
      )
    )
  )

/** Listeners that take connections and answer nothing, as addresses of this peer. */
const tarPit = (name: string) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Multiserver.layer(["memory"]))
    yield* Effect.provide(
      served(`memory:${name}`, (connection) => Stream.runDrain(Connection.stream(connection))),
      context
    )
  })
const tarPits = (count: number, peer: Identity.KeyPair) =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => `pit-${i}`),
    (name) => Effect.as(tarPit(name), `memory:${name}~${shs(peer)}`)
  )

const knows = (...records: ReadonlyArray<AddressRecord>) => source("knows", records.map(signed))

const remote = (target: Multiserver.Target, options?: Multiserver.DialOptions) =>
  Effect.map(Multiserver.dial(target, options), (connection) => Address.format(connection.remote))

const reasons = (error: DialError | Address.AddressError) => {
  if (error._tag === "AddressError") return [error._tag]
  return error.reason._tag === "AllFailed"
    ? error.reason.attempts.map(({ reason }) => reason._tag)
    : [error.reason._tag]
}

/** A service that counts who connects to it, and says nothing. */
const victim = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly calls: () => number; readonly server: net.Server }>((resume) => {
    let calls = 0
    const server = net.createServer((socket) => {
      calls++
      socket.destroy()
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      resume(Effect.succeed({ port, calls: () => calls, server }))
    })
  }),
  ({ server }) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
)

describe("a dial of peer:KEY", () => {
  it.effect("takes the strongest protocol of the record that is spoken here, and passes by what is not", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:strong~shs;memory:strong2~noise")
      const addresses = [`quic:h:1~${shs(peer)}`, `memory:strong~${shs(peer)}`, `memory:strong2~${noise(peer)}`]
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* remote(peerOf(peer)), `memory:strong2~${noise(peer)}`)
        assert.strictEqual(yield* remote(peerOf(peer), { plan: "inOrder" }), `memory:strong~${shs(peer)}`)
        assert.strictEqual(yield* remote(PeerMultiserver.address(peer.publicKey)), `memory:strong2~${noise(peer)}`)
      }).pipe(Effect.provide(dialing([knows(yield* record(peer, 1, addresses))])))
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("never dials an address at which another key, or none, is proved", () =>
    Effect.gen(function* () {
      const [peer, other] = [yield* keyPair, yield* keyPair]
      yield* listening(other, "memory:other~shs")
      const own = yield* record(peer, 1, [`memory:other~${shs(other)}`, "memory:other", "memory:other~shs"])
      const error = yield* Effect.flip(Effect.provide(remote(peerOf(peer)), dialing([knows(own)])))
      assert.sameMembers(reasons(error), ["NotDialable", "Unsupported", "NotDialable"])
      assert.include(error.message, `nothing in it proves the key ${Identity.formatPublicKey(peer.publicKey)}`)
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("goes on with a newer record when the known addresses fail, and finds a peer that has moved", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      let answer = yield* record(peer, 1, [`memory:before~${shs(peer)}`])
      const moving = source("moving", () => Stream.suspend(() => Stream.succeed(signed(answer))))
      yield* Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* listening(peer, "memory:before~shs")
            assert.strictEqual(yield* remote(peerOf(peer)), `memory:before~${shs(peer)}`)
          })
        )
        assert.deepStrictEqual(reasons(yield* Effect.flip(remote(peerOf(peer)))), ["Refused"])
        yield* listening(peer, "memory:after~shs")
        answer = yield* record(peer, 2, [`memory:after~${shs(peer)}`])
        assert.strictEqual(yield* remote(peerOf(peer)), `memory:after~${shs(peer)}`)
      }).pipe(Effect.provide(dialing([moving])))
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("looks up once more when all that was found has failed", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:here~shs")
      const answers = [
        yield* record(peer, 1, [`memory:gone~${shs(peer)}`]),
        yield* record(peer, 2, [`memory:here~${shs(peer)}`])
      ]
      let asked = 0
      const late = source("late", () => Stream.fromIterable(answers.slice(0, ++asked).slice(-1).map(signed)))
      assert.strictEqual(yield* Effect.provide(remote(peerOf(peer)), dialing([late])), `memory:here~${shs(peer)}`)
      assert.strictEqual(asked, 2)
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("tries an address that has failed after all others, for a minute", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const [strong, weak] = [`memory:strong~${noise(peer)}`, `memory:weak~${shs(peer)}`]
      yield* listening(peer, "memory:weak~shs")
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* remote(peerOf(peer)), weak)
        yield* listening(peer, "memory:strong~noise")
        assert.strictEqual(yield* remote(peerOf(peer)), weak)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* remote(peerOf(peer)), strong)
      }).pipe(Effect.provide(dialing([knows(yield* record(peer, 1, [weak, strong]))])))
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("passes by a text of several addresses, of which there could be too many for one dial", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:here~shs")
      const crowd = Array.from({ length: 10 }, (_, i) => `memory:${i}~${shs(peer)}`).join(";")
      const texts = [crowd, crowd.replaceAll("memory:", "memory:other"), `memory:here~${shs(peer)}`]
      const heard = source("heard", [{ _tag: "Heard", addresses: texts }])
      assert.strictEqual(yield* Effect.provide(remote(peerOf(peer)), dialing([heard])), texts[2])
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("follows what one source signed, however much another one says that nobody signed", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:here~shs")
      const lies = Array.from(
        { length: 16 },
        (_, i): Lookup.Offer => ({ _tag: "Heard", addresses: [`memory:lie-${i}~${shs(peer)}`] })
      )
      const here = `memory:here~${shs(peer)}`
      const own = signed(yield* record(peer, 1, [here]))
      // A tracker answers later than a neighbour.
      const tracker = source("tracker", () => Stream.fromEffect(Effect.as(turns, own)))
      const sources = [source("liar", lies), tracker]
      assert.strictEqual(yield* Effect.provide(remote(peerOf(peer)), dialing(sources)), here)
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("is not held up by a source that names addresses at which nobody answers", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:here~shs")
      const pits = yield* tarPits(8, peer)
      const here = `memory:here~${shs(peer)}`
      const own = yield* record(peer, 2, [here])
      const old = yield* record(peer, 1, pits.slice(0, 4))
      // It also has what the peer signed, but first the peer's old record, and what nobody signed.
      const liar = source("liar", [{ _tag: "Heard", addresses: pits.slice(4) }, signed(old), signed(own)])
      const honest = source("honest", () => Stream.fromEffect(Effect.as(turns, signed(own))))
      const layer = dialing([liar, honest])
      assert.strictEqual(yield* Effect.provide(remote(peerOf(peer)), layer), here)
      assert.strictEqual(yield* Effect.provide(remote(peerOf(peer)), dialing([liar])), here)
    }).pipe(Effect.scoped, Effect.provide(Memory.layer()))
  )

  it.effect("asks the sources after two seconds, when nobody answers at what is known", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const here = `memory:here~${shs(peer)}`
      let asked = 0
      const before = yield* Effect.scoped(
        Effect.gen(function* () {
          yield* listening(peer, "memory:before~shs")
          return yield* record(peer, 1, [`memory:before~${shs(peer)}`])
        })
      )
      let answer = before
      const moving = source("moving", () =>
        Stream.suspend(() => {
          asked++
          return Stream.succeed(signed(answer))
        })
      )
      yield* Effect.gen(function* () {
        yield* Effect.flip(remote(peerOf(peer)))
        yield* tarPit("before")
        yield* listening(peer, "memory:here~shs")
        answer = yield* record(peer, 2, [here])
        asked = 0
        const dial = yield* Effect.forkChild(remote(peerOf(peer)))
        yield* Effect.andThen(turns, TestClock.adjust("1999 millis"))
        yield* turns
        assert.strictEqual(asked, 0)
        yield* TestClock.adjust("1 milli")
        assert.strictEqual(yield* Fiber.join(dial), here)
      }).pipe(Effect.provide(dialing([moving])))
    }).pipe(Effect.scoped, Effect.provide(Memory.layer()))
  )

  it.effect("has one connection, when two sources lead to the peer at the same moment", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      let open = 0
      const counting = (connection: Connection.Connection) =>
        Effect.suspend(() => {
          open++
          return Effect.ensuring(
            echo(connection),
            Effect.sync(() => open--)
          )
        })
      const context = yield* Layer.build(speaking(peer))
      yield* Effect.provide(served("memory:a~shs;memory:b~shs", counting), context)
      const names = ["a", "b"].map((name) =>
        source(name, [{ _tag: "Heard", addresses: [`memory:${name}~${shs(peer)}`] }])
      )
      yield* Effect.gen(function* () {
        yield* Multiserver.dial(peerOf(peer))
        yield* turns
        assert.strictEqual(open, 1)
      }).pipe(Effect.scoped, Effect.provide(dialing(names)))
    }).pipe(Effect.scoped, Effect.provide(Memory.layer()))
  )

  it.effect("goes on when the code of one transport throws, and dies of it when nothing else connects", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:here~shs")
      const policy = { mayDial: () => true }
      const throwing = Layer.effect(
        Multiserver.Multiserver,
        Effect.map(Multiserver.Multiserver, (below) => ({
          ...below,
          dial: (target: Multiserver.Target, options?: Multiserver.DialOptions) =>
            String(target).includes("throws") ? Effect.die(new Error("a fault")) : below.dial(target, options)
        }))
      ).pipe(Layer.provide(speaking(peer)))
      const over = (...names: ReadonlyArray<string>) =>
        PeerMultiserver.layer({ dial: {} }).pipe(
          Layer.provide(
            Lookup.layer(
              names.map((name) =>
                Effect.succeed(source(name, [{ _tag: "Heard", addresses: [`memory:${name}~${shs(peer)}`] }]))
              )
            )
          ),
          Layer.provide(throwing),
          Layer.provide([Layer.succeed(Identity.Identity, peer), Sodium.layer])
        )
      const dialed = (...names: ReadonlyArray<string>) =>
        Effect.exit(Effect.provide(remote(peerOf(peer), { policy }), over(...names)))
      assert.deepStrictEqual(yield* dialed("throws", "here"), Exit.succeed(`memory:here~${shs(peer)}`))
      const alone = yield* dialed("throws")
      assert.isTrue(Exit.isFailure(alone) && Cause.hasDies(alone.cause))
    }).pipe(Effect.scoped, Effect.provide(Memory.layer()))
  )

  it.effect("gives its connection, when the caller's onFailed throws", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:b~shs")
      const [a, b] = [`memory:a~${shs(peer)}`, `memory:b~${shs(peer)}`]
      const onFailed = () => {
        throw new Error("a fault")
      }
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* remote(`${a};${b}`, { onFailed }), b)
        assert.strictEqual(yield* remote(peerOf(peer), { onFailed }), b)
        assert.strictEqual(yield* remote(`memory:gone~${shs(peer)};${peerOf(peer)}`, { onFailed }), b)
      }).pipe(
        Effect.provide(dialing([knows(yield* record(peer, 1, [a, b]))])),
        Effect.provideService(References.MinimumLogLevel, "None")
      )
    }).pipe(Effect.scoped, Effect.provide(Memory.layer()))
  )

  it.effect("obeys the rules of the dial itself, too, and tells it of each failure", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:b~shs")
      const [a, b] = [`memory:a~${shs(peer)}`, `memory:b~${shs(peer)}`]
      const failed: Array<string> = []
      const onFailed = ({ address }: { readonly address: string }) => void failed.push(address)
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* remote(peerOf(peer), { onFailed }), b)
        assert.deepStrictEqual(failed.splice(0), [a])
        const gone = `memory:gone~${shs(peer)}`
        const unknown = peerOf(yield* keyPair)
        assert.strictEqual(yield* remote(`${gone};${unknown};${peerOf(peer)}`, { onFailed }), b)
        assert.deepStrictEqual(failed.splice(0), [gone, unknown])
        yield* Effect.flip(remote(`${gone};${gone}2;peer:nobody`, { onFailed }))
        assert.isEmpty(failed)
        const policy = { mayDial: () => false }
        assert.deepStrictEqual(reasons(yield* Effect.flip(remote(peerOf(peer), { policy }))), [
          "DeniedByPolicy",
          "DeniedByPolicy"
        ])
        const other = (yield* keyPair).publicKey
        assert.deepStrictEqual(reasons(yield* Effect.flip(remote(peerOf(peer), { peer: other }))), ["NotDialable"])
      }).pipe(Effect.provide(dialing([knows(yield* record(peer, 1, [a, b]))])))
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("says that nothing was found, or why nobody could be asked", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const nothing = yield* Effect.flip(Effect.provide(remote(peerOf(peer)), dialing([source("empty", [])])))
      assert.strictEqual(
        nothing.message,
        `dial ${peerOf(peer)}: none of the sources of Lookup.layer([...]) knows an address of this peer (NotFound)`
      )
      const down = source("down", () =>
        Stream.fail(new Lookup.SourceError({ source: "down", detail: "out of order", isRetryable: false }))
      )
      const failed = yield* Effect.flip(Effect.provide(remote(peerOf(peer)), dialing([down])))
      assert.include(failed.message, "down: out of order (LookupFailed)")
      assert.isFalse(failed.isRetryable)
      assert.isTrue(nothing.isRetryable)
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("stands beside other addresses, in their order", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:direct~shs;memory:looked-up~shs")
      const own = yield* record(peer, 1, [`memory:looked-up~${shs(peer)}`])
      yield* Effect.gen(function* () {
        const [gone, direct] = [`memory:gone~${shs(peer)}`, `memory:direct~${shs(peer)}`]
        assert.strictEqual(yield* remote(`${direct};${peerOf(peer)}`), direct)
        assert.strictEqual(yield* remote(`${gone};${peerOf(peer)};${direct}`), `memory:looked-up~${shs(peer)}`)
        assert.strictEqual(yield* remote(`peer:nobody;${direct}`), direct)
        for (const bad of ["peer:nobody", "peer", `${peerOf(peer)}~shs`]) {
          const error = yield* Effect.flip(remote(bad))
          assert.include(error.message, "write peer:KEY")
        }
        assert.deepStrictEqual(reasons(yield* Effect.flip(remote(""))), ["AddressError"])
      }).pipe(Effect.provide(dialing([knows(own)])))
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("ends at its timeout, whatever it waits for", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* Effect.gen(function* () {
        const dial = yield* Effect.forkChild(Effect.flip(remote(peerOf(peer), { timeout: "3 seconds" })))
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(reasons(yield* Fiber.join(dial)), ["TimedOut"])
      }).pipe(Effect.provide(dialing([source("silent", () => Stream.never)])))
    }).pipe(Effect.provide(Memory.layer()))
  )
})

describe("attempts at one IP", () => {
  it.live("do not count when the peer proves its key there", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const context = yield* Layer.build(speaking(peer))
      const [here] = (yield* Effect.provide(served("net:127.0.0.1:0~shs", echo), context)).map(String)
      yield* Effect.gen(function* () {
        for (let i = 0; i < 6; i++) assert.strictEqual(yield* Effect.scoped(remote(peerOf(peer))), here)
      }).pipe(Effect.provide(dialing([knows(yield* record(peer, 1, [here ?? ""]))])))
    }).pipe(Effect.scoped, Effect.provide(Memory.layer()))
  )
})

describe("a bound that is not more than 0", () => {
  it.each([Number.NaN, 0, -1])("is told when the layer is made: %s", (number) => {
    const attempts = { most: number, every: "1 minute" } as const
    assert.throws(() => PeerMultiserver.layer({ attempts }), RangeError, `attempts.most can't be ${number}`)
    assert.throws(() => Lookup.layer([], { offers: number }), RangeError, `offers can't be ${number}`)
  })
})

describe("what others name", () => {
  const at = (port: number, host = "127.0.0.1") => `net:${host}:${port}`

  it.live("is dialed at most 4 times a minute at one IP, in whatever dials and records it is named", () =>
    Effect.gen(function* () {
      const service = yield* victim
      const peers = yield* Effect.all([keyPair, keyPair, keyPair])
      const records = yield* Effect.forEach(peers, (peer) =>
        record(
          peer,
          1,
          Array.from({ length: 8 }, (_, i) => `ws://127.0.0.1:${service.port}/${i}~${shs(peer)}`)
        )
      )
      const all = source("all", (key) =>
        Stream.fromIterable(records.filter(({ publicKey }) => publicKey.join() === key.join()).map(signed))
      )
      yield* Effect.gen(function* () {
        for (const peer of peers) {
          const error = yield* Effect.flip(remote(peerOf(peer)))
          assert.strictEqual(reasons(error).length, 8)
        }
        assert.strictEqual(service.calls(), 4)
      }).pipe(Effect.provide(dialing([all])))
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.live("is dialed at most 4 times a minute at one name that leads to no IP, such as an onion service", () =>
    Effect.gen(function* () {
      const proxy = yield* victim
      const peer = yield* keyPair
      const own = yield* record(
        peer,
        1,
        Array.from({ length: 6 }, (_, i) => `onion:${"a".repeat(56)}.onion:${8000 + i}~${shs(peer)}`)
      )
      const overTor = Multiserver.layer(["onion~shs"]).pipe(
        Layer.provide([Onion.layer({ proxies: [{ host: "127.0.0.1", port: proxy.port }] }), Shs.layer()]),
        Layer.provideMerge([Layer.succeed(Identity.Identity, peer), Sodium.layer])
      )
      const dialing = PeerMultiserver.layer().pipe(
        Layer.provide(Lookup.layer([Effect.succeed(knows(own))])),
        Layer.provide(overTor)
      )
      yield* Effect.flip(Effect.provide(remote(peerOf(peer)), dialing))
      assert.strictEqual(proxy.calls(), 4)
    })
  )

  it.live("is not dialed in private networks or on this device, unless a source of the local network names it", () =>
    Effect.gen(function* () {
      const service = yield* victim
      const peer = yield* keyPair
      const own = yield* record(peer, 1, [
        `${at(service.port)}~${shs(peer)}`,
        `${at(service.port, "localhost")}~${shs(peer)}`,
        `${at(service.port, "0.0.0.0")}~${shs(peer)}`,
        `net:10.0.0.1:8008~${shs(peer)}`,
        `memory:peer~${shs(peer)}`
      ])
      const denied = yield* Effect.flip(Effect.provide(remote(peerOf(peer)), dialing([knows(own)], {})))
      assert.deepStrictEqual(reasons(denied), Array(5).fill("DeniedByPolicy"))
      const near = { ...knows(own), near: true }
      // Loopback is not of the network. 10.0.0.1 is, but this test doesn't let a packet out.
      const only = { dialNear: { deny: ["0.0.0.0/8", "127.0.0.0/8", "10.0.0.0/8"] } }
      const alsoDenied = yield* Effect.flip(Effect.provide(remote(peerOf(peer)), dialing([near], only)))
      assert.deepStrictEqual(reasons(alsoDenied), Array(5).fill("DeniedByPolicy"))
      assert.strictEqual(service.calls(), 0)
      yield* Effect.flip(Effect.provide(remote(peerOf(peer)), dialing([near], { dialNear: { allow: ["127.0.0.1"] } })))
      assert.isAtLeast(service.calls(), 1)
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.live("is not dialed at the ports of other services", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const own = yield* record(
        peer,
        1,
        [25, 22, 53, 1023].map((port) => `${at(port)}~${shs(peer)}`)
      )
      const error = yield* Effect.flip(Effect.provide(remote(peerOf(peer)), dialing([knows(own)])))
      assert.deepStrictEqual(reasons(error), Array(4).fill("DeniedByPolicy"))
      const all = dialing([knows(own)], { dial: {}, ports: () => true })
      const refused = yield* Effect.flip(Effect.provide(remote(peerOf(peer)), all))
      assert.notInclude(reasons(refused), "DeniedByPolicy")
    }).pipe(Effect.provide(Memory.layer()))
  )
})
