/**
 * The core, as built, where there is nothing of Node's: two ends over memory, whose transform is a codec of its own,
 * and frames that straddle two reads. Prints what arrived.
 */
import { stdout } from "node:process"

const gone = ["Buffer", "process", "setImmediate", "clearImmediate", "global"]
for (const name of gone) delete globalThis[name]

const ours = (name) => import(new URL(`../../dist/${name}.js`, import.meta.url).href)
const Effect = await import("effect/Effect")
const Layer = await import("effect/Layer")
const Deferred = await import("effect/Deferred")
const Schema = await import("effect/Schema")
const Address = await ours("Address")
const Codec = await ours("Codec")
const Memory = await ours("memory/Memory")
const Multiserver = await ours("Multiserver")
const Transform = await ours("Transform")

/** A length of four bytes, and so many bytes. */
const frame = (length) => {
  const out = new Uint8Array(4 + length).fill(7)
  new DataView(out.buffer).setUint32(0, length)
  return out
}

const codec = (onRead) => {
  const inner = Codec.opener({
    head: 4,
    openHead: (sealed) => new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength).getUint32(0),
    openBody: (sealed, plain) => {
      plain.set(sealed)
      return sealed.length
    }
  })
  return {
    sealer: { head: 4, tail: 0, maxBody: 65_000, endLength: 1, seal: () => {}, sealEnd: () => {} },
    opener: {
      open: (input, out, room) => {
        const verdict = inner.open(input, out, room)
        onRead()
        return verdict
      }
    },
    wipe: () => {}
  }
}

/**
 * What arrives of one frame that is cut at a byte. The dialer's handshake sends the second part when the first has been
 * read.
 */
const arrives = (length, cut) =>
  Effect.gen(function* () {
    const read = yield* Deferred.make()
    const arrived = yield* Deferred.make()
    const section = new Address.Opaque({ name: "cut", data: "" })
    const handshaken = (link, onRead) => ({ peer: link.peer, section, codec: codec(onRead) })
    const layer = Transform.layer("cut", {
      section: Address.section("cut", Schema.Literal("")),
      authenticates: false,
      outbound: (link) =>
        Transform.fromCodec(link, (wire) =>
          Effect.gen(function* () {
            const bytes = frame(length)
            yield* wire.write(bytes.slice(0, cut))
            yield* Deferred.await(read)
            yield* wire.write(bytes.slice(cut))
            return handshaken(link, () => {})
          }).pipe(Effect.orDie)
        ),
      inbound: (link) =>
        Transform.fromCodec(link, () => Effect.succeed(handshaken(link, () => Deferred.doneUnsafe(read, Effect.void))))
    })
    yield* Effect.gen(function* () {
      const listener = yield* Multiserver.listen("memory:m~cut")
      yield* Effect.forkScoped(
        listener.run((connection) =>
          Effect.gen(function* () {
            let bytes = 0
            let sum = 0
            while (bytes < length) {
              for (const chunk of yield* connection.pull) {
                bytes += chunk.length
                for (const byte of chunk) sum += byte
              }
            }
            yield* Deferred.succeed(arrived, { bytes, sum })
          })
        )
      )
      yield* Multiserver.dial("memory:m~cut")
      const { bytes, sum } = yield* Deferred.await(arrived)
      stdout.write(`${length} bytes, cut at ${cut}: ${bytes}, ${sum === 7 * length ? "as sent" : "others"}\n`)
    }).pipe(
      Effect.scoped,
      Effect.provide(Multiserver.layer(["memory~cut"]).pipe(Layer.provide([Memory.layer(), layer])))
    )
  })

for (const [length, cut] of [
  [10, 2],
  [10, 8],
  [33_000, 3],
  [60_000, 30_000]
]) {
  await Effect.runPromise(arrives(length, cut))
}
