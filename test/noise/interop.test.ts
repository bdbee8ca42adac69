/**
 * With an implementation that is not ours, over real sockets: npm `noise-handshake` for the handshake in both roles
 * (`xkpsk0.ts`), and node:crypto for the frames behind it.
 */
import * as crypto from "node:crypto"
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Address } from "../../src/Address.ts"
import * as AppKey from "../../src/AppKey.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import { primitives } from "../support/primitives.ts"
import { echo, pattern, readAll, sameBytes, served } from "../support/servers.ts"
import { base64, hex } from "../support/vectors.ts"
import { profile } from "../xk/vectors.ts"
import { blake2b } from "./blake2b.ts"
import { type Pair, prologueOf, pskOf, xkpsk0 } from "./xkpsk0.ts"

const appKey = pattern(32, 11)

const identityOf = (n: number) => Identity.fromSeed(primitives, Redacted.make(pattern(32, n)))
const x25519 = ({ publicKey, secretKey }: Identity.KeyPair): Pair => ({
  publicKey: Buffer.from(primitives.x25519FromPublicKey(publicKey) as Uint8Array),
  secretKey: Buffer.from(primitives.x25519FromSecretKey(Redacted.value(secretKey)))
})
const [own, other] = [identityOf(21), identityOf(22)]

const ours = (options: Noise.Options) =>
  Multiserver.layer(["net~noise"]).pipe(
    Layer.provide([Net.layer(), Noise.layer(options)]),
    Layer.provide(AppKey.layer(Redacted.make(appKey))),
    Layer.provide([Layer.succeed(Identity.Identity, own), Sodium.layer])
  )

// -----------------------------------------------------------------------------
// theirs
// -----------------------------------------------------------------------------

const u16 = (n: number) => Buffer.from([n >> 8, n & 255])

/** One direction of frames, by node:crypto. */
const cipher = (key: Uint8Array) => {
  let n = 0n
  const nonce = () => {
    const out = Buffer.alloc(12)
    out.writeBigUInt64LE(n++, 4)
    return out
  }
  const options = { authTagLength: 16 }
  return {
    seal: (plain: Uint8Array) => {
      const sealing = crypto.createCipheriv("chacha20-poly1305", key, nonce(), options)
      return Buffer.concat([sealing.update(plain), sealing.final(), sealing.getAuthTag()])
    },
    open: (sealed: Uint8Array) => {
      const opening = crypto.createDecipheriv("chacha20-poly1305", key, nonce(), options)
      opening.setAuthTag(sealed.subarray(-16))
      return Buffer.concat([opening.update(sealed.subarray(0, -16)), opening.final()])
    }
  }
}

/** Exact reads from a socket. */
const reader = (socket: net.Socket) => {
  const chunks = socket[Symbol.asyncIterator]()
  let have = Buffer.alloc(0)
  return async (length: number): Promise<Buffer> => {
    while (have.length < length) {
      const { done, value } = await chunks.next()
      if (done === true) throw new Error(`the end, at ${have.length} of ${length} bytes`)
      have = Buffer.concat([have, value])
    }
    const out = Buffer.from(have.subarray(0, length))
    have = have.subarray(length)
    return out
  }
}

const writeAll = (socket: net.Socket, key: ReturnType<typeof cipher>, body: Uint8Array) => {
  for (let at = 0; at < body.length; at += 65_519) {
    const part = body.subarray(at, at + 65_519)
    socket.write(Buffer.concat([key.seal(u16(part.length)), key.seal(part)]))
  }
  socket.write(key.seal(u16(0)))
}

const readToEnd = async (read: ReturnType<typeof reader>, key: ReturnType<typeof cipher>) => {
  const bodies: Array<Buffer> = []
  for (;;) {
    const length = key.open(await read(18)).readUInt16BE()
    if (length === 0) return Buffer.concat(bodies)
    bodies.push(key.open(await read(length + 16)))
  }
}

/** Dials, says `body` and the end, and answers what came back. */
const theyDial = async (port: number, token: Uint8Array, body: Uint8Array) => {
  const socket = net.connect(port, "127.0.0.1")
  const read = reader(socket)
  const theirs = xkpsk0(true, x25519(other), pskOf(appKey))
  theirs.initialise(prologueOf(own.publicKey), x25519(own).publicKey)
  socket.write(theirs.send())
  theirs.recv(await read(48))
  socket.write(theirs.send(Buffer.concat([other.publicKey, token])))
  const [to, from] = [cipher(theirs.tx), cipher(theirs.rx)]
  assert.strictEqual(from.open(await read(18)).readUInt16BE(), 1)
  assert.deepStrictEqual([...from.open(await read(17))], [0])
  writeAll(socket, to, body)
  const back = await readToEnd(read, from)
  socket.destroy()
  return back
}

/** Serves one connection: echoes to the end. Answers who came, and with which payload. */
const theyServe = async (socket: net.Socket) => {
  const read = reader(socket)
  const theirs = xkpsk0(false, x25519(other), pskOf(appKey))
  theirs.initialise(prologueOf(other.publicKey))
  theirs.recv(await read(48))
  socket.write(theirs.send())
  const payload = theirs.recv(await read(128))
  const [to, from] = [cipher(theirs.tx), cipher(theirs.rx)]
  socket.write(Buffer.concat([to.seal(u16(1)), to.seal(Buffer.of(0))]))
  writeAll(socket, to, await readToEnd(read, from))
  return { payload: Buffer.from(payload), remote: Buffer.from(theirs.rs), hash: Buffer.from(theirs.hash) }
}

const sizes = [0, 1, 65_519, 65_520, 1_000_000]

describe("the BLAKE2b that it stands on", () => {
  it("is the one of node:crypto without a key, and that of its authors with one", () => {
    for (const length of [0, 1, 127, 128, 129, 300]) {
      const message = pattern(length)
      assert.strictEqual(hex(blake2b(64, message)), crypto.createHash("blake2b512").update(message).digest("hex"))
    }
    // The first of the authors' blake2b-kat.txt.
    const key = Uint8Array.from({ length: 64 }, (_, i) => i)
    assert.strictEqual(
      hex(blake2b(64, new Uint8Array(0), key)),
      "10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568"
    )
  })
})

describe("noise with npm noise-handshake", () => {
  it.live("is dialed by it", () =>
    Effect.gen(function* () {
      const asked: Array<Noise.Applicant> = []
      const authorize = (applicant: Noise.Applicant) => Effect.sync(() => asked.push(applicant) > 0)
      yield* Effect.gen(function* () {
        const [address] = yield* served("net:127.0.0.1:0~noise", echo)
        const { transport } = address as Address
        const port = transport._tag === "net" ? transport.port : 0
        const token = pattern(32, 31)
        for (const size of sizes) {
          const back = yield* Effect.promise(() => theyDial(port, token, pattern(size)))
          assert.isTrue(sameBytes(back, pattern(size)), `${size} bytes`)
        }
        assert.strictEqual(asked.length, sizes.length)
        for (const applicant of asked) {
          assert.strictEqual(hex(applicant.publicKey), hex(other.publicKey))
          assert.strictEqual(hex(Redacted.value(Option.getOrThrow(applicant.token))), hex(token))
        }
      }).pipe(Effect.provide(ours({ authorize })))
    })
  )

  it.live("dials it", () =>
    Effect.gen(function* () {
      const came: Array<ReturnType<typeof theyServe>> = []
      const server = yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer({ allowHalfOpen: true }, (socket) => void came.push(theyServe(socket)))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = server.address() as net.AddressInfo
      const token = pattern(32, 32)
      const address = `net:127.0.0.1:${port}~noise:${Identity.formatPublicKey(other.publicKey)}`
      for (const size of sizes) {
        const { back, binding } = yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* Multiserver.dial(size === 0 ? `${address}:${base64(token)}` : address)
            yield* Effect.forkChild(Effect.andThen(connection.write(pattern(size)), connection.end))
            return { back: yield* readAll(connection), binding: connection.binding }
          })
        )
        assert.isTrue(sameBytes(back, pattern(size)), `${size} bytes`)
        const { hash, payload, remote } = yield* Effect.promise(
          async () => came[came.length - 1] ?? assert.fail("nobody")
        )
        assert.strictEqual(hex(payload), hex(own.publicKey) + (size === 0 ? hex(token) : "00".repeat(32)))
        assert.strictEqual(hex(remote), hex(x25519(own).publicKey))
        assert.strictEqual(hex(binding ?? new Uint8Array(0)), hex(hash))
      }
    }).pipe(Effect.provide(ours({})))
  )

  it("agrees with the vectors that are checked in, hash of the handshake and all", () => {
    for (const vector of profile.handshakes) {
      const pair = (publicKey: Uint8Array, secretKey: Uint8Array): Pair => ({
        publicKey: Buffer.from(publicKey),
        secretKey: Buffer.from(secretKey)
      })
      const { initiator, initiator_ephemeral, responder } = vector
      const psk = pskOf(vector.app_key)
      assert.strictEqual(hex(psk), hex(vector.psk))
      const theirs = xkpsk0(true, pair(initiator.x25519_public, initiator.x25519_secret), psk)
      theirs.initialise(prologueOf(responder.public_key, vector.sections), Buffer.from(responder.x25519_public))
      theirs.e = pair(initiator_ephemeral.public, initiator_ephemeral.secret)
      assert.strictEqual(hex(theirs.send()), hex(vector.hello))
      theirs.recv(Buffer.from(vector.challenge))
      const payload = Buffer.concat([initiator.public_key, vector.token ?? Buffer.alloc(32)])
      assert.strictEqual(hex(theirs.send(payload)), hex(vector.auth))
      assert.strictEqual(hex(theirs.hash), hex(vector.handshake_hash))
      assert.strictEqual(hex(theirs.tx), hex(vector.initiator_to_responder_key))
    }
  })
})
