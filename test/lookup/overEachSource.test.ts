/** Dials by key over each source, beside another source that lies. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Address from "../../src/Address.ts"
import type { AddressRecord } from "../../src/AddressRecord.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Events from "../../src/Events.ts"
import * as Gossip from "../../src/Gossip.ts"
import * as Identity from "../../src/Identity.ts"
import * as Lan from "../../src/Lan.ts"
import type * as Listener from "../../src/Listener.ts"
import * as Lookup from "../../src/Lookup.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as PeerMultiserver from "../../src/PeerMultiserver.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Tracker from "../../src/Tracker.ts"
import { freePort } from "../lan/support.ts"
import { echo, freeAddresses, served } from "../support/servers.ts"
import { keyPair, record, signed, source } from "./support.ts"

/** A program: an identity, what it speaks, and where it tells its events. */
const person = Effect.map(keyPair, (pair) => {
  const events: Array<Events.Event> = []
  const layer = Multiserver.layer(["net~shs"]).pipe(
    Layer.provide([Net.layer(), Shs.layer()]),
    Layer.provideMerge(Layer.succeed(Identity.Identity, pair)),
    Layer.provideMerge([Sodium.layer, Events.layer((event) => Effect.sync(() => void events.push(event)))]),
    Layer.provideMerge(NodeServices.layer)
  )
  return { pair, events, layer }
})

type Person = Effect.Success<typeof person>
type Making = Effect.Effect<Lookup.Source, unknown, Layer.Success<Person["layer"]> | Scope.Scope>

/** A way to find peers: the source of the peer, which publishes, and that of the dialer. */
interface Way {
  readonly peer: Making
  readonly dialer: Making
  /** Says where the peer listens now, where a source has no `publish`. */
  readonly say?: (listener: Listener.Listener, record: AddressRecord) => Effect.Effect<void, unknown, Scope.Scope>
}

const silent = Effect.succeed(source("silent", []))

/** What a record of the peer says in a file, between lines that are not to be believed. */
const inFile =
  (file: string, lies: ReadonlyArray<Uint8Array>) =>
  (_: unknown, { bytes }: AddressRecord) =>
    Effect.sync(() => {
      const lines = [...lies, bytes, ...lies].map((each) => Buffer.from(each).toString("base64"))
      fs.writeFileSync(file, ["# peers", ...lines].join("\n"))
    })

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "records-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
)

/** The records that are not to be believed, or not any more, and where they lead. */
const liesAbout = Effect.fnUntraced(function* (peer: Identity.KeyPair, lure: ReadonlyArray<string>) {
  const other = yield* keyPair
  const older = yield* record(peer, 1, lure)
  const forged = (yield* record(peer, 3, lure)).bytes.slice()
  forged[forged.length - 1] = 1 ^ (forged.at(-1) ?? 0)
  const ofAnother = yield* record(other, 3, lure)
  const expired = yield* record(peer, 2, lure, 1)
  return [older.bytes, forged, older.bytes, expired.bytes, new Uint8Array(1001), ofAnother.bytes]
})

const ways: Record<string, (peer: Person, dialer: Person) => Effect.Effect<Way, unknown, Scope.Scope>> = {
  "records of the program": () =>
    Effect.map(Ref.make<ReadonlyArray<AddressRecord>>([]), (given) => ({
      peer: silent,
      dialer: Effect.succeed({
        name: "records",
        find: (key) =>
          Stream.unwrap(Effect.map(Effect.flatMap(Ref.get(given), Lookup.fromRecords), (records) => records.find(key)))
      }),
      say: (_, own) => Ref.set(given, [own])
    })),
  "a file": ({ pair }) =>
    Effect.gen(function* () {
      const file = path.join(yield* folder, "records")
      const say = inFile(file, yield* liesAbout(pair, []))
      return { peer: silent, dialer: Lookup.fromFile(file), say }
    }),
  "the memory of one process": () =>
    Effect.map(Lookup.makeBoard(), (board) => ({ peer: Effect.succeed(board), dialer: Effect.succeed(board) })),
  "a tracker": () =>
    Effect.gen(function* () {
      const { layer } = yield* person
      const tracker = yield* Layer.build(Tracker.layer("net:127.0.0.1:0~shs").pipe(Layer.provide(layer)))
      const { addresses } = yield* Effect.provideContext(Tracker.Tracker, tracker)
      const asked = Tracker.source({ at: addresses() })
      return { peer: asked, dialer: asked }
    }),
  gossip: (peer, dialer) =>
    Effect.gen(function* () {
      const places = yield* freeAddresses(2)
      const keys = [peer, dialer].map(({ pair }) => Identity.formatPublicKey(pair.publicKey))
      const peers = places.map((place, i) => `${place}~shs:${keys[i]}`)
      const at = (i: number) => Gossip.source({ listen: `${places[i]}~shs`, peers, interval: "1 hour" })
      return { peer: at(0), dialer: at(1) }
    }),
  "the local network": ({ layer }) =>
    Effect.gen(function* () {
      const port = yield* freePort
      const say = (listener: Listener.Listener) =>
        Effect.provide(Lan.announce(listener, { port, scope: "device" }), layer)
      return { peer: silent, dialer: Lan.source({ port, wait: "1 minute", remember: "3 seconds" }), say }
    })
}

describe("a dial by key beside a source that lies", () => {
  it.live.each(Object.entries(ways))("leads to the peer, and to its new place after it has moved: by %s", ([, way]) =>
    Effect.gen(function* () {
      const [peer, dialer] = [yield* person, yield* person]
      const lured: Array<unknown> = []
      const trap = yield* Effect.provide(
        served("net:127.0.0.1:0~shs", () => Effect.sync(() => void lured.push(1))),
        (yield* person).layer
      )
      // At the trap, the key of the peer can't be proved.
      const [place = ""] = trap.map(String)
      const lure = place.replace(/shs:.*/, `shs:${Identity.formatPublicKey(peer.pair.publicKey)}`)
      const lies = yield* liesAbout(peer.pair, [lure])
      const { dialer: asks, peer: tells, say } = yield* way(peer, dialer)
      const lying = source(
        "liar",
        lies.map((bytes) => signed({ bytes }))
      )
      const publishing = yield* Layer.build(Lookup.layer([tells]).pipe(Layer.provide(peer.layer)))
      const dialing = yield* Layer.build(
        PeerMultiserver.layer({ dial: {}, dialNear: {}, attempts: { most: 20, every: "1 minute" } }).pipe(
          Layer.provide(Lookup.layer([Effect.succeed(lying), asks], { patience: "2 minutes" })),
          Layer.provide(dialer.layer)
        )
      )
      for (let move = 0; move < 2; move++) {
        const scope = yield* Scope.fork(yield* Effect.scope)
        const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs").pipe(
          Effect.provide(peer.layer),
          Scope.provide(scope)
        )
        yield* Effect.forkIn(listener.run(echo), scope)
        const [here] = listener.addresses()
        const own = yield* record(peer.pair, 1000 + move, listener.addresses().map(String))
        yield* say === undefined
          ? Effect.provideContext(Lookup.publish(listener.addresses()), publishing)
          : Scope.provide(say(listener, own), scope)
        yield* Multiserver.dial(PeerMultiserver.address(peer.pair.publicKey)).pipe(
          Effect.map(({ remote }) => assert.strictEqual(Address.format(remote), here && Address.format(here))),
          Effect.scoped,
          Effect.provideContext(dialing)
        )
        yield* Scope.close(scope, Exit.void)
      }
      assert.isEmpty(lured)
      assert.includeMembers(
        dialer.events.flatMap((event) => (event._tag === "RecordRefused" ? [event.tag] : [])),
        ["Forged", "TooLarge", "OtherPeer"]
      )
    })
  )
})
