/**
 * No secret of a handshake is left in memory, however the handshake ends: ephemeral keys, what is agreed on with them,
 * and the keys of every box, on both sides. Someone in the middle ends, breaks, damages or stops what passes, at every
 * message and within it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Address from "../../src/Address.ts"
import { Kem } from "../../src/crypto/Kem.ts"
import { layer, type NoisePrimitives, type Primitives } from "../../src/crypto/Primitives.ts"
import { fromSeed, Identity } from "../../src/Identity.ts"
import * as Link from "../../src/Link.ts"
import { memoryPair } from "../../src/memory/memoryPort.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as NoisePq from "../../src/noisepq/NoisePq.ts"
import { Anonymous } from "../../src/Peer.ts"
import type { Port } from "../../src/Port.ts"
import * as Shs from "../../src/shs/Shs.ts"
import type * as Transform from "../../src/Transform.ts"
import { kems, primitives } from "../support/primitives.ts"
import { pattern, turns } from "../support/servers.ts"

type Service = NoisePrimitives["Service"]

/**
 * The primitives, every secret that they have made or were given, and the memory in which they found what they were
 * given.
 */
const watched = (kem: Kem["Service"]) => {
  const secrets = new Set<Uint8Array>()
  const values: Array<Buffer> = []
  const memory = new Set<ArrayBufferLike>()
  const read = (bytes: Uint8Array): Uint8Array => {
    memory.add(bytes.buffer)
    return bytes
  }
  const saw = <A extends Uint8Array | undefined>(secret: A): A => {
    if (secret !== undefined && !secrets.has(secret)) {
      secrets.add(secret)
      values.push(Buffer.from(secret))
      read(secret)
    }
    return secret
  }
  const service: Service = {
    ...primitives,
    sign: (message, secretKey) => primitives.sign(read(message), secretKey),
    verify: (signature, message, publicKey) => primitives.verify(signature, read(message), publicKey),
    sha256: (message) => saw(primitives.sha256(read(message))),
    blake2b: (hash, message, key) => primitives.blake2b(hash, read(message), key),
    x25519KeyPair: () => {
      const pair = primitives.x25519KeyPair()
      saw(pair.secretKey)
      return pair
    },
    ed25519KeyPair: (seed) => {
      const pair = primitives.ed25519KeyPair(seed)
      saw(pair.secretKey)
      return pair
    },
    x25519: (secretKey, publicKey) => saw(primitives.x25519(secretKey, publicKey)),
    x25519FromSecretKey: (secretKey) => saw(primitives.x25519FromSecretKey(secretKey)),
    boxSeal: (box, message, nonce, key) => primitives.boxSeal(box, message, nonce, saw(key)),
    boxOpen: (message, box, nonce, key) => primitives.boxOpen(message, box, nonce, saw(key)),
    aeadSeal: (sealed, message, associated, nonce, key) =>
      primitives.aeadSeal(sealed, message, associated, nonce, saw(key)),
    aeadOpen: (message, sealed, associated, nonce, key) =>
      primitives.aeadOpen(message, sealed, associated, nonce, saw(key))
  }
  const watchedKem: Kem["Service"] = {
    keyPair: () => {
      const pair = kem.keyPair()
      saw(pair.secretKey)
      return pair
    },
    encapsulate: (publicKey) => {
      const made = kem.encapsulate(publicKey)
      saw(made?.secret)
      return made
    },
    decapsulate: (secretKey, ciphertext) => saw(kem.decapsulate(saw(secretKey), ciphertext))
  }
  const left = () => [...secrets].filter((secret) => secret.some((byte) => byte !== 0)).length
  /** How many secrets still stand somewhere in that memory, in whichever copy. */
  const copies = () => {
    const places = [...memory].map((buffer) => Buffer.from(buffer))
    return values.filter((value) => places.some((place) => place.includes(value))).length
  }
  return { service, watchedKem, left, copies, secrets }
}

const identityOf = (n: number) => fromSeed(primitives, Redacted.make(pattern(32, n)))
const [client, server] = [identityOf(1), identityOf(2)]

type Authorize = () => Effect.Effect<boolean>
interface Row {
  readonly name: string
  readonly make: (
    authorize: Authorize
  ) => Effect.Effect<Transform.Shape, never, Identity | Primitives | NoisePrimitives | Kem>
  readonly kem?: Kem["Service"]
  readonly section: Address.Section
  /** All that each side sends, in bytes. */
  readonly sent: { readonly client: ReadonlyArray<number>; readonly server: ReadonlyArray<number> }
}

const shs = {
  make: (authorize: Authorize) => Shs.make({ authorize }),
  sent: { client: [64, 112], server: [64, 80] }
}
const rows: ReadonlyArray<Row> = [
  { name: "shs", ...shs, section: new Address.Shs({ publicKey: server.publicKey }) },
  {
    name: "shs with a seed",
    ...shs,
    section: new Address.Shs({ publicKey: server.publicKey, seed: Redacted.make(pattern(32, 3)) })
  },
  {
    name: "noise",
    make: (authorize) => Noise.make({ authorize }),
    section: new Address.Noise({ publicKey: server.publicKey }),
    sent: { client: [48, 128], server: [48, 35] }
  },
  ...kems.map(({ kem, library }) => ({
    name: `noisepq on ${library}`,
    make: (authorize: Authorize) => NoisePq.make({ authorize }),
    kem,
    section: new Address.NoisePq({ publicKey: server.publicKey }),
    sent: { client: [1248, 128], server: [1152, 35] }
  }))
]

type Fault = "end" | "break" | "damage" | "stop"

/** What happens, and behind which byte of which side. */
interface Accident {
  readonly fault: Fault
  readonly from: "client" | "server"
  readonly after: number
}

/** Passes on what arrives, up to the accident. */
const pass = (from: Port, to: Port, accident: Accident | undefined) => {
  let passed = 0
  const happens = () => {
    if (accident?.fault === "end") to.end()
    if (accident?.fault === "break") to.destroy()
  }
  const onward = (chunk: Uint8Array) => {
    const room = accident === undefined ? chunk.length : Math.max(0, accident.after - passed)
    passed += chunk.length
    if (room >= chunk.length) to.offer(chunk)
    else if (accident?.fault === "damage") to.offer(chunk.map((byte, i) => (i < room ? byte : byte ^ 1)))
    else {
      if (room > 0) to.offer(chunk.slice(0, room))
      happens()
    }
    to.flush()
  }
  from.listen({
    readable: () => {
      for (let chunks = from.take(); chunks !== undefined; chunks = from.take()) chunks.forEach(onward)
    },
    drained: () => {}
  })
  if (accident?.after === 0) happens()
}

const below = { reach: "device", trusted: true } as const
const at = new Address.Address({ transport: new Address.Memory({ name: "wiped" }), transforms: [] })
const yes: Authorize = () => Effect.succeed(true)

/** Both sides of a handshake with this in the middle. How each came out. */
const handshake = Effect.fnUntraced(function* (row: Row, accident: Accident | undefined, authorize: Authorize = yes) {
  const [nearPort, nearFar] = memoryPair()
  const [farPort, farFar] = memoryPair()
  pass(nearFar, farFar, accident?.from === "client" ? accident : undefined)
  pass(farFar, nearFar, accident?.from === "server" ? accident : undefined)
  const side = Effect.fnUntraced(function* (port: Port, role: "inbound" | "outbound", scope: Scope.Scope) {
    const { copies, left, secrets, service, watchedKem } = watched(row.kem ?? kems[0].kem)
    const shape = yield* row
      .make(authorize)
      .pipe(
        Effect.provide([
          layer(service),
          Layer.succeed(Kem, watchedKem),
          Layer.succeed(Identity, role === "inbound" ? server : client)
        ])
      )
    const link = yield* Scope.provide(Link.make(port, { remote: at, peer: new Anonymous() }), scope)
    // What is listened on has no seed and no token: `advertise` is that section.
    const section = role === "inbound" ? shape.advertise(row.section) : row.section
    const wrap = Result.getOrThrow(shape[role](section, below, []))
    const fiber = yield* Effect.forkChild(Effect.exit(Scope.provide(wrap(link), scope)), { startImmediately: true })
    return { fiber, left, copies, secrets }
  })
  const scope = yield* Scope.make()
  const sides = [yield* side(farPort, "inbound", scope), yield* side(nearPort, "outbound", scope)]
  yield* turns
  for (const { fiber } of sides) yield* Fiber.interrupt(fiber)
  const outcomes: Array<boolean> = []
  for (const { fiber, left, secrets } of sides) {
    const exit = yield* Fiber.await(fiber)
    const succeeded = Exit.isSuccess(exit) && Exit.isSuccess(exit.value)
    outcomes.push(succeeded)
    // What still has a session keeps its keys until that ends.
    if (!succeeded) assert.strictEqual(left(), 0, `secrets of ${secrets.size} are left`)
  }
  yield* Scope.close(scope, Exit.fail("over"))
  for (const { copies, left, secrets } of sides) {
    assert.strictEqual(left(), 0, `secrets of ${secrets.size} are left at the end`)
    assert.strictEqual(copies(), 0, `secrets of ${secrets.size} are left in copies at the end`)
  }
  return { listener: outcomes[0], dialer: outcomes[1], secrets: sides.map(({ secrets }) => secrets.size) }
})

describe.each(rows.map((row) => [row.name, row] as const))("a handshake of %s leaves no secret", (_, row) => {
  it.live("when it succeeds, once the connection is gone", () =>
    Effect.gen(function* () {
      const { dialer, listener, secrets } = yield* handshake(row, undefined)
      assert.deepStrictEqual([listener, dialer], [true, true])
      for (const count of secrets) assert.isAtLeast(count, 5)
    })
  )

  it.live.each<Fault>(["end", "break", "damage", "stop"])("at each message and within it: %s", (fault) =>
    Effect.gen(function* () {
      for (const from of ["client", "server"] as const) {
        const [first = 0, second = 0] = row.sent[from]
        for (const after of [0, 1, first - 1, first, first + 1, first + second - 1]) {
          const { dialer } = yield* handshake(row, { fault, from, after })
          assert.isFalse(dialer, `${fault} behind byte ${after} of the ${from}`)
        }
      }
    })
  )

  it.live.each<readonly [string, Authorize]>([
    ["says no", () => Effect.succeed(false)],
    ["dies", () => Effect.die("out of order")],
    ["never answers", () => Effect.never]
  ])("when authorize %s", ([, authorize]) =>
    Effect.gen(function* () {
      const { dialer, listener } = yield* handshake(row, undefined, authorize)
      assert.deepStrictEqual([listener, dialer], [false, false])
    })
  )
})
