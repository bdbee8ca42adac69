/** The local network, on the loopback: announcing, hearing, dialing whom one has heard, and those who do harm. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Example from "../examples/lookup-lan.ts"
import * as Address from "../src/Address.ts"
import * as AppKey from "../src/AppKey.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import * as Identity from "../src/Identity.ts"
import * as Lan from "../src/Lan.ts"
import type * as Lookup from "../src/Lookup.ts"
import * as Datagram from "../src/lan/datagram.ts"
import { addressAt, bound, freePort, from, keyPair, network } from "./lan/support.ts"
import { multiserver, turns, until } from "./support/servers.ts"

const source = (options: Lan.SourceOptions) => Effect.provide(Lan.source(options), Sodium.layer)

/** Announces addresses as long as the test, as a peer with this key pair. */
const announced = (pair: Identity.KeyPair, addresses: () => ReadonlyArray<string>, options: Lan.AnnounceOptions) => {
  const parsed = () => addresses().flatMap((text) => Result.getOrThrow(Address.parse(text)))
  return Lan.announce({ addresses: parsed }, options).pipe(
    Effect.provideService(Identity.Identity, pair),
    Effect.provide(Sodium.layer)
  )
}

const addressesOf = (offers: Iterable<Lookup.Offer>): ReadonlyArray<ReadonlyArray<string>> =>
  [...offers].flatMap((offer) => (offer._tag === "Heard" ? [offer.addresses] : []))

/** All that a source says of a key. */
const saidOf = ({ find }: Lookup.Source, { publicKey }: Identity.KeyPair) =>
  Effect.map(Stream.runCollect(find(publicKey)), addressesOf)

/** The first thing that a source says of a key, whenever that is. */
const firstOf = ({ find }: Lookup.Source, { publicKey }: Identity.KeyPair) =>
  Effect.map(Stream.runCollect(Stream.take(find(publicKey), 1)), (offers) => addressesOf(offers)[0])

const otherNetwork = Option.getOrThrow(AppKey.fromBytes(new Uint8Array(32)))

const signed = (pair: Identity.KeyPair, text: string) => Datagram.writeSigned(network, pair, text)

describe("the local network", () => {
  it.live("leads to a peer of which only the key is known, and hides it from other networks", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const server = yield* Layer.build(Layer.fresh(multiserver()))
      const { publicKey } = yield* Effect.provideContext(Identity.Identity, server)
      const finder = yield* Layer.build(
        Example.layer({ port, wait: "10 minutes" }, { dialNear: {} }).pipe(
          Layer.provide(Layer.fresh(multiserver())),
          Layer.provide([Layer.fresh(Identity.layerEphemeral), Sodium.layer]),
          Layer.provide(Sodium.layer)
        )
      )
      // The source of another network is there first, and hears nothing.
      const stranger = yield* Effect.provideService(source({ port, wait: "1 millis" }), AppKey.AppKey, otherNetwork)
      yield* Example.serve("net:127.0.0.1:0~shs", { port, scope: "device" }).pipe(
        Effect.provide(server),
        Effect.provide(Sodium.layer)
      )
      const connection = yield* Effect.provide(Example.dial(publicKey), finder)
      assert.isTrue(connection.peer._tag === "Authenticated")
      assert.include(`${connection.remote}`, Identity.formatPublicKey(publicKey))
      assert.deepStrictEqual([...(yield* Stream.runCollect(stranger.find(publicKey)))], [])
    })
  )

  it.effect("finds at once whom it has heard lately, and forgets who is silent", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const [pair, other] = [yield* keyPair, yield* keyPair]
      // Two programs of one machine hear the same port.
      const [one, two] = [yield* source({ port }), yield* source({ port })]
      const send = yield* from("127.0.0.1", port)
      const text = addressAt("127.0.0.1", pair)
      const hearing = yield* Effect.forkChild(firstOf(one, pair), { startImmediately: true })
      const too = yield* Effect.forkChild(firstOf(two, pair), { startImmediately: true })
      yield* send(signed(pair, text))
      assert.deepStrictEqual([yield* Fiber.join(hearing), yield* Fiber.join(too)], [[text], [text]])
      // No time passes, and this ends.
      assert.deepStrictEqual(yield* saidOf(one, pair), [[text]])

      const waiting = yield* Effect.forkChild(saidOf(one, other), { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(waiting), [])

      // Who waits is told of each place once, however often it is announced.
      const again = yield* Effect.forkChild(saidOf(one, other), { startImmediately: true })
      const [here, there] = [addressAt("127.0.0.1", other, 1), addressAt("127.0.0.1", other, 2)]
      yield* send(...[here, here, there, here].map((each) => signed(other, each)))
      const last = yield* Effect.forkChild(firstOf(two, other), { startImmediately: true })
      yield* Fiber.join(last)
      yield* turns
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(yield* saidOf(one, pair), [[text]])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(again), [[here], [there]])
      const silent = yield* Effect.forkChild(saidOf(one, pair), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(silent), [])
    })
  )

  it.effect("is announced every 2 seconds, a peer that moves with its new address, and not after the scope", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const pair = yield* keyPair
      let at = 1
      const heard: Array<string> = []
      const socket = yield* bound({ port }, true)
      socket.on("message", (bytes, { address }) => {
        heard.push(...(Datagram.readSigned(network, bytes, address)?.addresses ?? []))
      })
      const own = () => addressAt("127.0.0.1", pair, at)
      yield* Effect.gen(function* () {
        yield* announced(pair, () => [own()], { port, scope: "device" })
        yield* until(() => heard.length === 1)
        yield* TestClock.adjust("1999 millis")
        yield* turns
        assert.strictEqual(heard.length, 1)
        at = 2
        yield* TestClock.adjust("1 millis")
        yield* until(() => heard.length === 2)
        yield* TestClock.adjust("2 seconds")
        yield* until(() => heard.length === 3)
      }).pipe(Effect.scoped)
      yield* TestClock.adjust("1 minute")
      yield* turns
      assert.deepStrictEqual(heard, [addressAt("127.0.0.1", pair, 1), own(), own()])
    })
  )

  it.effect(
    "announces no address with a seed, of another key, without a key, or at a host that is not this machine",
    () =>
      Effect.gen(function* () {
        const port = yield* freePort
        const [pair, other] = [yield* keyPair, yield* keyPair]
        const logged: Array<string> = []
        const logger = Logger.layer([Logger.make(({ message }) => void logged.push(`${message}`))])
        const here = yield* source({ port })
        const seeded = `${addressAt("127.0.0.1", pair)}:${Buffer.alloc(32, 1).toString("base64")}`
        let addresses = [seeded, addressAt("127.0.0.1", other), "net:127.0.0.1:8008", addressAt("192.0.2.1", pair)]
        let isBroken = true
        const own = () => (isBroken ? assert.fail("it has no addresses") : addresses)
        yield* announced(pair, own, { port, scope: "device" }).pipe(Effect.provide(logger))
        yield* TestClock.adjust("1 second")
        isBroken = false
        yield* TestClock.adjust("10 seconds")
        yield* turns
        assert.deepStrictEqual(logged, [
          "local network: the listener does not say its addresses: AssertionError: it has no addresses",
          "local network: nothing is announced, because the listener has no address with the key of Identity at an IPv4 " +
            "of a private network"
        ])
        const hearing = yield* Effect.forkChild(firstOf(here, pair), { startImmediately: true })
        addresses = [...addresses, addressAt("127.0.0.1", pair, 9)]
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* Fiber.join(hearing), [addressAt("127.0.0.1", pair, 9)])
      })
  )

  it.effect("hears what nobody signed only where it is told to", () =>
    Effect.gen(function* () {
      const [port, legacy] = [yield* freePort, yield* freePort]
      const pair = yield* keyPair
      const text = addressAt("127.0.0.1", pair)
      const both = yield* source({ port, legacy })
      const strict = yield* source({ port })
      const hearing = yield* Effect.forkChild(firstOf(both, pair), { startImmediately: true })
      const send = yield* from("127.0.0.1", legacy)
      yield* send(Datagram.writeUnsigned(text))
      assert.deepStrictEqual(yield* Fiber.join(hearing), [text])
      const notHearing = yield* Effect.forkChild(saidOf(strict, pair), { startImmediately: true })
      yield* turns
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(notHearing), [])
      // Who announces so, announces both ways.
      yield* TestClock.adjust("10 seconds")
      const again = yield* Effect.forkChild(firstOf(both, pair), { startImmediately: true })
      const signedToo = yield* Effect.forkChild(firstOf(strict, pair), { startImmediately: true })
      yield* announced(pair, () => [text], { port, legacy, scope: "device" })
      assert.deepStrictEqual([yield* Fiber.join(again), yield* Fiber.join(signedToo)], [[text], [text]])
    })
  )

  it.effect("is closed to who would lead dials elsewhere, speak for others, or drown them", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const [peer, eve] = [yield* keyPair, yield* keyPair]
      const here = yield* source({ port })
      const honest = yield* from("127.0.0.1", port)
      const attacker = yield* from("127.0.0.66", port)
      const text = addressAt("127.0.0.1", peer)
      const genuine = signed(peer, text)
      yield* attacker(
        // Another host; the words of the peer, from elsewhere; the peer's key, signed by another; noise.
        signed(eve, addressAt("127.0.0.1", eve)),
        genuine,
        signed(eve, addressAt("127.0.0.66", peer)),
        new Uint8Array(0),
        new Uint8Array(1400),
        new Uint8Array(60_000)
      )
      yield* honest(genuine)
      yield* attacker(...Array.from({ length: 300 }, (_, i) => signed(eve, addressAt("127.0.0.66", eve, i + 1))))
      yield* honest(genuine)
      const hearing = yield* Effect.forkChild(firstOf(here, peer), { startImmediately: true })
      assert.deepStrictEqual(yield* Fiber.join(hearing), [text])
      assert.deepStrictEqual(yield* saidOf(here, peer), [[text]])
      // Of all that it has said in this second, only the first were looked at, and only its own address was kept.
      assert.match(`${yield* saidOf(here, eve)}`, /^net:127\.0\.0\.66:([1-9]|1[0-6])~/)
    })
  )

  it.effect("gives a reader who waits at most 16 announcements, the last ones, from so many senders", () =>
    Effect.gen(function* () {
      const [port, legacy] = [yield* freePort, yield* freePort]
      const [peer, last] = [yield* keyPair, yield* keyPair]
      const here = yield* source({ port, legacy })
      for (let i = 1; i <= 30; i++) {
        const send = yield* from(`127.0.1.${i}`, legacy)
        yield* send(Datagram.writeUnsigned(addressAt(`127.0.1.${i}`, peer)))
      }
      const send = yield* from("127.0.0.1", port)
      yield* send(signed(peer, addressAt("127.0.0.1", peer)))
      const hearing = yield* Effect.forkChild(firstOf(here, last), { startImmediately: true })
      yield* send(signed(last, addressAt("127.0.0.1", last)))
      yield* Fiber.join(hearing)
      yield* turns
      const said = yield* saidOf(here, peer)
      assert.strictEqual(said.length, 16)
      assert.deepStrictEqual(said[0], [addressAt("127.0.0.1", peer)])
    })
  )

  it.live("says which port can't be had, and takes no setting that it can't obey", () =>
    Effect.gen(function* () {
      const socket = yield* bound({ port: 0, address: "0.0.0.0", exclusive: true })
      const { port } = socket.address()
      const error = yield* Effect.flip(source({ port }))
      assert.strictEqual(error.message, `local network: another program has UDP port ${port} for itself alone; end it`)
      assert.isTrue(error.isRetryable)
      for (const options of [{ port: 0 }, { port: 70_000 }, { port: 1.5 }, { legacy: 0 }, { port: 1, legacy: 1 }]) {
        const exit = yield* Effect.exit(source(options))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), JSON.stringify(options))
      }
    })
  )
})
