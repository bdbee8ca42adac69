/** Records in a DHT of hyperdht's own nodes, all of them on the loopback: honest ones, and ones that lie. */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { TestNode } from "hyperdht/testnet.js"
import * as AddressRecord from "../../src/AddressRecord.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import * as Lookup from "../../src/Lookup.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as PeerMultiserver from "../../src/PeerMultiserver.ts"
import { bound, keyPair } from "../lan/support.ts"
import { echo, multiserver, served, until } from "../support/servers.ts"

/** `hyperdht` is optional, and has native code: where it can't be loaded, nothing of it can be tested. */
const loaded = await Promise.all([
  import("hyperdht/testnet.js").then((module) => module.default),
  import("../../src/hyperdht/Hyperdht.ts"),
  import("../../src/hyperdht/node.ts"),
  import("../../examples/lookup-hyperdht.ts")
]).catch((cause: unknown) => console.error(`NOT TESTED: hyperdht can't be loaded: ${cause}`))

const nodeCount = 6

/** The command of a node that asks for a value. */
const mutableGet = 7

describe.skipIf(loaded === undefined)("hyperdht", () => {
  if (loaded === undefined) return
  const [createTestnet, Hyperdht, Node, Example] = loaded

  const testnet = Effect.acquireRelease(
    Effect.promise(() => createTestnet(nodeCount)),
    (own) => Effect.promise(() => own.destroy())
  ).pipe(
    Effect.map(({ bootstrap, nodes }) => ({
      nodes,
      options: { bootstrap: bootstrap.map(({ host, port }) => `${host}:${port}`), host: "127.0.0.1" }
    }))
  )

  const as = (pair: Identity.KeyPair, events: Array<Events.Event> = []) =>
    Layer.mergeAll(
      Layer.succeed(Identity.Identity, pair),
      Sodium.layer,
      Events.layer((event) => Effect.sync(() => void events.push(event)))
    )

  const finder = (
    options: { readonly bootstrap: ReadonlyArray<string>; readonly host: string },
    events: Array<Events.Event> = []
  ) =>
    Effect.gen(function* () {
      const pair = yield* keyPair
      return yield* Layer.build(Layer.provide(Example.finds(options), as(pair, events)))
    })

  const record = (pair: Identity.KeyPair, sequence: number, addresses: ReadonlyArray<string>) =>
    AddressRecord.sign(pair, { addresses, sequence, expires: 10_000_000_000 }).pipe(Effect.provide(Sodium.layer))

  const found = ({ publicKey }: Identity.KeyPair) =>
    Effect.map(Stream.runCollect(Lookup.find(publicKey)), (records) => records.map(({ addresses }) => addresses))

  const told = (events: ReadonlyArray<Events.Event>) =>
    events.map((event) => (event._tag === "RecordRefused" ? event.tag : event._tag))

  it.live("leads to a peer of which only the key is known, and after it has moved to its new address", () =>
    Effect.gen(function* () {
      const { options } = yield* testnet
      const server = yield* Layer.build(Layer.fresh(multiserver()))
      const pair = yield* Effect.provideContext(Identity.Identity, server)
      const publisher = yield* Layer.build(Layer.provide(Example.publishes(options), as(pair)))
      const looking = yield* finder(options)
      const dialer = yield* Layer.build(
        PeerMultiserver.layer({ dial: {} }).pipe(
          Layer.provide([Layer.fresh(multiserver()), Layer.succeedContext(looking)])
        )
      )
      for (let move = 0; move < 2; move++) {
        const addresses = yield* Effect.provide(served("net:127.0.0.1:0~shs", echo), server)
        yield* Effect.provide(Lookup.publish(addresses), publisher)
        const records = yield* Effect.provide(found(pair), looking)
        assert.deepStrictEqual(records.at(-1) ?? [], addresses.map(String))
        const connection = yield* Effect.provide(Multiserver.dial(PeerMultiserver.address(pair.publicKey)), dialer)
        assert.strictEqual(String(connection.remote), String(addresses[0]))
      }
    })
  )

  it.live("carries the largest record", () =>
    Effect.gen(function* () {
      const { options } = yield* testnet
      const pair = yield* keyPair
      const text = (length: number) => `net:${"a".repeat(length)}.example:8008`
      const most = yield* Effect.gen(function* () {
        for (let length = 250; ; length--) {
          const addresses = Array.from({ length: 4 }, (_, i) => text(i === 0 ? length : 200))
          const signed = yield* Effect.result(record(pair, 1, addresses))
          if (Result.isSuccess(signed)) return signed.success
        }
      })
      assert.isAbove(most.bytes.length, 900)
      const publisher = yield* Hyperdht.source({ ...options, publish: true }).pipe(Effect.provide(as(pair)))
      yield* publisher.publish?.(most) ?? Effect.die("it has no publish")
      assert.deepStrictEqual(yield* Effect.provide(found(pair), yield* finder(options)), [most.addresses])
    })
  )

  it.live("believes no node: not one that invents, garbles or repeats, nor what the peer itself has put there", () =>
    Effect.gen(function* () {
      const { nodes, options } = yield* testnet
      const [pair, other] = [yield* keyPair, yield* keyPair]
      const events: Array<Events.Event> = []
      const looking = yield* finder(options, events)
      const publisher = yield* Hyperdht.source({ ...options, publish: true }).pipe(Effect.provide(as(pair)))
      const publish = publisher.publish ?? (() => Effect.die("it has no publish"))

      // All nodes but one answer with the record that was there first, or with bytes that mean nothing.
      const [old, now] = [yield* record(pair, 1, ["net:192.0.2.1:1"]), yield* record(pair, 2, ["net:192.0.2.2:1"])]
      yield* publish(old)
      // A node does not ask itself, so the values below are put by a liar.
      const liars = nodes.slice(0, -1)
      const olds = new Map<TestNode, Uint8Array | null>()
      for (const node of liars) {
        const onrequest = node.onrequest.bind(node)
        node.onrequest = (request) => {
          if (request.command !== mutableGet) return onrequest(request)
          const reply = request.reply.bind(request)
          request.reply = (value) => {
            if (!olds.has(node)) olds.set(node, value)
            reply(olds.get(node) ?? null)
          }
          return onrequest(request)
        }
      }
      assert.deepStrictEqual(yield* Effect.provide(found(pair), looking), [old.addresses])
      assert.isAbove(olds.size, 0)
      yield* publish(now)
      assert.deepStrictEqual(yield* Effect.provide(found(pair), looking), [old.addresses, now.addresses])
      for (const node of liars) {
        const value = olds.get(node)
        if (value)
          olds.set(
            node,
            value.map((byte, i) => (i > 20 && i < 60 ? byte ^ 1 : byte))
          )
        else olds.set(node, new Uint8Array(500).fill(255))
      }
      assert.deepStrictEqual(yield* Effect.provide(found(pair), yield* finder(options)), [now.addresses])
      assert.deepStrictEqual(told(events), [])

      // The peer's own signature does not make a record of anything.
      const secretKey = Redacted.value(other.secretKey)
      const put = (value: Uint8Array, seq: number) =>
        Effect.promise(
          () => liars[0]?.mutablePut({ publicKey: other.publicKey, secretKey }, value, { seq }) ?? Promise.reject()
        )
      for (const [seq, value] of [now.bytes, new Uint8Array(1001), new Uint8Array(1)].entries()) {
        yield* put(value, seq + 1)
        assert.deepStrictEqual(yield* Effect.provide(found(other), looking), [])
      }
      assert.deepStrictEqual(told(events), ["OtherPeer", "TooLarge", "Malformed"])
    })
  )

  it.live("publishes nothing unless it is told to, nothing of others, and nothing that is older", () =>
    Effect.gen(function* () {
      const { options } = yield* testnet
      const [pair, other] = [yield* keyPair, yield* keyPair]
      const looking = yield* Layer.build(Layer.provide(Example.finds(options), as(pair)))
      const refused = yield* Effect.flip(Effect.provide(Lookup.publish(["net:192.0.2.1:1"]), looking))
      assert.include(refused.message, "none of the sources")

      const publisher = yield* Hyperdht.source({ ...options, publish: true }).pipe(Effect.provide(as(pair)))
      const publish = publisher.publish ?? (() => Effect.die("it has no publish"))
      const foreign = yield* Effect.flip(publish(yield* record(other, 1, [])))
      assert.include(foreign.message, "the record is not of the key of Identity")
      yield* publish(yield* record(pair, 2, []))
      const late = yield* Effect.flip(publish(yield* record(pair, 1, [])))
      assert.strictEqual(late.message, "hyperdht: the nodes refuse it (code 17)")
      assert.isFalse(late.isRetryable)
    })
  )

  it.live("gives up a question that is interrupted, says when nobody answers, and leaves nothing open", () =>
    Effect.gen(function* () {
      const descriptors = () => fs.readdirSync("/proc/self/fd").length
      const before = descriptors()
      yield* Effect.gen(function* () {
        const pair = yield* keyPair
        // A node that says nothing.
        const socket = yield* bound({ port: 0, address: "127.0.0.1" })
        const options = { bootstrap: [`127.0.0.1:${socket.address().port}`], host: "127.0.0.1" }
        const node = yield* Node.make(options)
        const active = (): number => Reflect.get(node, "stats").queries.active
        yield* until(() => active() === 1)
        const question = Node.call((begun) => node.mutableGet(pair.publicKey, { ...begun, latest: true }))
        yield* Effect.raceFirst(
          question,
          until(() => active() === 1)
        )
        yield* until(() => active() === 0)

        const here = yield* Hyperdht.source(options).pipe(Effect.provide(as(pair)))
        const error = yield* Effect.flip(Stream.runDrain(here.find(pair.publicKey)))
        assert.include(error.message, "no node has answered")
        assert.isTrue(error.isRetryable)
      }).pipe(Effect.scoped)
      yield* until(() => descriptors() <= before)
    })
  )

  it.live("takes no setting that it can't obey", () =>
    Effect.gen(function* () {
      const pair = yield* keyPair
      const failure = (options: Parameters<typeof Hyperdht.source>[0]) =>
        Effect.map(
          Effect.flip(Hyperdht.source(options)).pipe(Effect.scoped, Effect.provide(as(pair))),
          ({ message }) => message
        )
      for (const bad of ["127.0.0.1", "127.0.0.1:0", "a b:1", ""]) {
        assert.include(yield* failure({ bootstrap: [bad], host: "127.0.0.1" }), JSON.stringify(bad))
      }
      assert.include(yield* failure({ bootstrap: [], host: "127.0.0.1" }), "leave it out")
      assert.include(yield* failure({ bootstrap: ["127.0.0.1:1"], host: "192.0.2.1" }), "192.0.2.1")
    })
  )
})
