/** Dials by key beside sources and peers that mean harm. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Address from "../../src/Address.ts"
import type { AddressRecord } from "../../src/AddressRecord.ts"
import { Primitives } from "../../src/crypto/Primitives.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Lookup from "../../src/Lookup.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as PeerMultiserver from "../../src/PeerMultiserver.ts"
import { Resolver } from "../../src/Resolver.ts"
import * as Shs from "../../src/shs/Shs.ts"
import { echo } from "../support/servers.ts"
import { keyPair, record, signed, source } from "./support.ts"

const speaking = (pair: Identity.KeyPair) =>
  Multiserver.layer(["memory~shs", "net~shs"]).pipe(
    Layer.provide([Net.layer(), Shs.layer()]),
    Layer.provide([Layer.succeed(Identity.Identity, pair), Sodium.layer])
  )

const peerOf = ({ publicKey }: Identity.KeyPair) => `peer:${Identity.formatPublicKey(publicKey)}`
const shs = ({ publicKey }: Identity.KeyPair) => `shs:${Identity.formatPublicKey(publicKey)}`

/** Listens as this identity as long as the test. */
const listening = (pair: Identity.KeyPair, target: string, handle = echo) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(speaking(pair))
    yield* Effect.provide(
      Effect.flatMap(Multiserver.listen(target), (listener) => Effect.forkScoped(listener.run(handle))),
      context
    )
  })

/** Dials as a stranger who asks these sources, and may dial this device. */
const dialing = (sources: ReadonlyArray<Lookup.Source>) =>
  Layer.unwrap(
    Effect.map(keyPair, (pair) =>
      PeerMultiserver.layer({ dial: {} }).pipe(
        Layer.provide(Lookup.layer(sources.map((each) => Effect.succeed(each)))),
        Layer.provide(speaking(pair)),
        Layer.provide([Layer.succeed(Identity.Identity, pair), Sodium.layer]),
        Layer.orDie
      )
    )
  )

const knows = (...records: ReadonlyArray<AddressRecord>) => source("knows", records.map(signed))
const remote = (target: Multiserver.Target, options?: Multiserver.DialOptions) =>
  Effect.map(Multiserver.dial(target, options), (connection) => Address.format(connection.remote))

/** The same source, but it answers a while after the others. */
const later = (own: Lookup.Source): Lookup.Source => ({
  ...own,
  find: (key) => Stream.unwrap(Effect.as(Effect.yieldNow.pipe(Effect.repeat({ times: 50 })), own.find(key)))
})

describe("a source that says what nobody signed", () => {
  const heard = (...addresses: ReadonlyArray<string>): Lookup.Offer => ({ _tag: "Heard", addresses })

  it.effect("does not end the dial with several addresses in one text", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      yield* listening(peer, "memory:here~shs")
      const own = later(knows(yield* record(peer, 1, [`memory:here~${shs(peer)}`])))
      const many = (start: number) =>
        Array.from({ length: 16 }, (_, i) => `memory:no${start + i}~${shs(peer)}`).join(";")
      const liar = source("liar", [heard(many(0), many(16))])
      assert.strictEqual(yield* Effect.provide(remote(peerOf(peer)), dialing([liar, own])), `memory:here~${shs(peer)}`)
    }).pipe(Effect.provide(Memory.layer()))
  )

  it.effect("can't have the dialer prove another key than its own", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const seen: Array<string> = []
      yield* listening(peer, "memory:here~shs", (connection) => {
        if (connection.peer._tag === "Authenticated") seen.push(Identity.formatPublicKey(connection.peer.publicKey))
        return echo(connection)
      })
      const seed = Buffer.alloc(32, 7).toString("base64")
      const primitives = yield* Effect.provide(Primitives, Sodium.layer)
      const stranger = Identity.fromSeed(primitives, Redacted.make(new Uint8Array(32).fill(7)))
      const liar = source("liar", [heard(`memory:here~${shs(peer)}:${seed}`)])
      const outcome = yield* Effect.result(Effect.provide(remote(peerOf(peer)), dialing([liar])))
      yield* Effect.yieldNow.pipe(Effect.repeat({ times: 50 }))
      assert.notInclude(seen, Identity.formatPublicKey(stranger.publicKey))
      assert.strictEqual(outcome._tag, "Failure")
    }).pipe(Effect.provide(Memory.layer()))
  )
})

describe("a dial by key that is interrupted", () => {
  it.effect("leaves no connection in the scope of its caller, when the sources are still being ended", () =>
    Effect.gen(function* () {
      const peer = yield* keyPair
      const [ending, end, closed] = [
        Deferred.makeUnsafe<void>(),
        Deferred.makeUnsafe<void>(),
        Deferred.makeUnsafe<void>()
      ]
      yield* listening(peer, "memory:here~shs", (connection) =>
        Effect.ensuring(echo(connection), Deferred.succeed(closed, undefined))
      )
      const own = yield* record(peer, 1, [`memory:here~${shs(peer)}`])
      const untilEnd = Effect.andThen(Deferred.succeed(ending, undefined), Deferred.await(end))
      const lasting = source("lasting", () =>
        Stream.concat(
          Stream.succeed(signed(own)),
          Stream.fromEffectDrain(Effect.onInterrupt(Effect.never, () => untilEnd))
        )
      )
      yield* Effect.gen(function* () {
        const dial = yield* Effect.forkChild(Multiserver.dial(peerOf(peer)))
        yield* Deferred.await(ending)
        const interrupted = yield* Effect.forkChild(Fiber.interrupt(dial), { startImmediately: true })
        yield* Deferred.succeed(end, undefined)
        yield* Fiber.join(interrupted)
        yield* Deferred.await(closed)
      }).pipe(Effect.provide(dialing([lasting])))
    }).pipe(Effect.provide(Memory.layer()))
  )
})

describe("a name in a record", () => {
  it.live("takes no room from other targets, however many IPs it has", () =>
    Effect.gen(function* () {
      const [hostile, peer] = [yield* keyPair, yield* keyPair]
      const names = Array.from({ length: 8 }, (_, i) => `net:${i}.example:1024~${shs(hostile)}`)
      const own = `net:peer.example:1024~${shs(peer)}`
      const all = { [peerOf(hostile)]: yield* record(hostile, 1, names), [peerOf(peer)]: yield* record(peer, 1, [own]) }
      const everybody = source("everybody", (key) =>
        Stream.fromIterable(
          [all[`peer:${Identity.formatPublicKey(key)}`]].flatMap((each) => (each ? [signed(each)] : []))
        )
      )
      const resolver = (host: string) =>
        [
          Effect.succeed(
            host === "peer.example"
              ? ["127.200.0.1"]
              : Array.from({ length: 2000 }, (_, i) => `127.${host[0]}.${i >> 8}.${i & 255}`)
          )
        ] as const
      yield* Effect.gen(function* () {
        yield* Effect.flip(remote(peerOf(hostile)))
        const error = yield* Effect.flip(remote(peerOf(peer)))
        assert.deepStrictEqual(error._tag === "DialError" && error.reason._tag, "Refused")
      }).pipe(Effect.provide(Layer.provide(dialing([everybody]), Layer.succeed(Resolver, resolver))))
    }).pipe(Effect.provide(Memory.layer()))
  )
})
