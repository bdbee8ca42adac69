/** The encrypting transforms, as their fuzzers see them: one row each. */
import * as Result from "effect/Result"
import type { Codec } from "../../src/Codec.ts"
import type { KeyPairBytes, NoisePrimitives } from "../../src/crypto/Primitives.ts"
import type { ConvertedKeys } from "../../src/handshake/convertedKeys.ts"
import type { Failure } from "../../src/handshake/errors.ts"
import { Secrets } from "../../src/handshake/secrets.ts"
import type { KeyPair, PublicKey } from "../../src/Identity.ts"
import { profile as xkpsk0 } from "../../src/noise/XKpsk0.ts"
import { profile as xkhfs } from "../../src/noisepq/XKhfs.ts"
import * as BoxStream from "../../src/shs/BoxStream.ts"
import * as Shs from "../../src/shs/ShsHandshake.ts"
import * as NoiseFrames from "../../src/xk/NoiseFrames.ts"
import * as NoiseProfile from "../../src/xk/NoiseProfile.ts"
import { cheapKem, fixedMac } from "./primitives.ts"
import { join } from "./random.ts"

/** What one side brings. The ephemeral pair is wiped by who uses it. */
export interface Side {
  readonly primitives: NoisePrimitives["Service"]
  readonly appKey: Uint8Array
  readonly identity: KeyPair
  readonly ephemeral: KeyPairBytes
  /** The keys of the peers that its process has met. */
  readonly keys: ConvertedKeys
}

/** One direction's key, and what else its cipher begins with. */
export interface Keys {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
}

/** What one side of a handshake does next. */
export type Turn =
  | { readonly _tag: "say"; readonly message: Uint8Array; readonly next: Turn }
  | { readonly _tag: "hear"; readonly length: number; readonly next: (message: Uint8Array) => Turn }
  | { readonly _tag: "refuse"; readonly why: string }
  | { readonly _tag: "done"; readonly peer: Uint8Array; readonly encrypt: Keys; readonly decrypt: Keys }

/** What reading a stream of sealed bytes comes to. */
export interface Reading {
  readonly plain: Uint8Array
  readonly verdict: "more" | "end" | "tampered" | "violation"
}

export interface Protocol {
  readonly name: string
  /** Of `Keys`, in bytes. */
  readonly nonceLength: number
  readonly client: (side: Side, server: PublicKey) => Turn
  readonly server: (side: Side) => Turn
  readonly codec: (
    primitives: NoisePrimitives["Service"],
    keys: { readonly encrypt: Keys; readonly decrypt: Keys }
  ) => Codec
  /**
   * With the primitives `identity`: a frame as it is on the wire, whose head may say another length than that of its
   * body.
   */
  readonly frame: (body: Uint8Array, length: number) => Uint8Array
  /** With the primitives `identity`: what the specification says of a stream, by the plainest reading of it. */
  readonly read: (wire: Uint8Array) => Reading
}

const answer = <A>(step: Result.Result<A, Failure>, next: (value: A) => Turn): Turn =>
  Result.isSuccess(step)
    ? next(step.success)
    : { _tag: "refuse", why: step.failure._tag === "network" ? "network" : step.failure.detail }

const done = (peer: Uint8Array, { decrypt, encrypt }: { readonly encrypt: Keys; readonly decrypt: Keys }): Turn => ({
  _tag: "done",
  peer,
  encrypt,
  decrypt
})

const shsSide = (side: Side): Shs.Local => ({ ...side, secrets: new Secrets(side.primitives) })

const shs: Protocol = {
  name: "shs",
  nonceLength: 24,
  client: (side, server) => {
    const hello = Shs.clientHello(shsSide(side), server)
    const accept = (state: Shs.AwaitAccept) => (message: Uint8Array) =>
      answer(Shs.clientFinish(state, message), (session) => done(server, session))
    const challenge = (message: Uint8Array) =>
      answer(Shs.clientAuth(hello.next, message), (auth) => ({
        _tag: "say",
        message: auth.message,
        next: { _tag: "hear", length: Shs.lengths.accept, next: accept(auth.next) }
      }))
    return {
      _tag: "say",
      message: hello.message,
      next: { _tag: "hear", length: Shs.lengths.challenge, next: challenge }
    }
  },
  server: (side) => {
    const auth = (state: Shs.AwaitAuth) => (message: Uint8Array) =>
      answer(Shs.serverVerify(state, message), (decision) => {
        const accept = Shs.serverAccept(decision)
        return { _tag: "say", message: accept.message, next: done(decision.client, accept.session) }
      })
    const hello = (message: Uint8Array) =>
      answer(Shs.serverChallenge(shsSide(side), message), (challenge) => ({
        _tag: "say",
        message: challenge.message,
        next: { _tag: "hear", length: Shs.lengths.auth, next: auth(challenge.next) }
      }))
    return { _tag: "hear", length: Shs.lengths.hello, next: hello }
  },
  codec: (primitives, keys) => BoxStream.codec(primitives, keys),
  frame: (body, length) => join([fixedMac, Uint8Array.of(length >>> 8, length & 0xff), fixedMac, body]),
  read: (wire) => {
    const isMac = (at: number) => fixedMac.every((byte, i) => byte === wire[at + i])
    const bodies: Array<Uint8Array> = []
    const reading = (verdict: Reading["verdict"]): Reading => ({ plain: join(bodies), verdict })
    for (let at = 0; ; ) {
      if (wire.length - at < 34) return reading("more")
      if (!isMac(at)) return reading("tampered")
      const head = wire.subarray(at + 16, at + 34)
      if (head.every((byte) => byte === 0)) return reading("end")
      const length = (head[0] as number) * 256 + (head[1] as number)
      if (length > 4096) return reading("violation")
      if (wire.length - at - 34 < length) return reading("more")
      if (!isMac(at + 18)) return reading("tampered")
      bodies.push(wire.subarray(at + 34, at + 34 + length))
      at += 34 + length
    }
  }
}

const noiseSide = (
  profile: NoiseProfile.Profile,
  { appKey, ephemeral, identity, keys, primitives }: Side
): NoiseProfile.Local => ({
  ...NoiseProfile.local(profile, primitives, appKey, identity, () => ephemeral),
  keys
})

const noiseOf = (profile: NoiseProfile.Profile): Protocol => ({
  name: profile.name,
  nonceLength: 12,
  client: (side, server) => {
    const body = (state: NoiseProfile.AwaitAccept) => (message: Uint8Array) =>
      answer(NoiseProfile.initiatorAcceptBody(state, message), (session) => done(server, session))
    const head = (state: NoiseProfile.AwaitAccept) => (message: Uint8Array) =>
      answer(NoiseProfile.initiatorAcceptHead(state, message), (state) => ({
        _tag: "hear",
        length: NoiseProfile.acceptBodyLength,
        next: body(state)
      }))
    const auth = (state: NoiseProfile.AwaitChallenge) => (message: Uint8Array) =>
      answer(NoiseProfile.initiatorAuth(state, message), (auth) => ({
        _tag: "say",
        message: auth.message,
        next: { _tag: "hear", length: NoiseProfile.acceptHeadLength, next: head(auth.next) }
      }))
    return answer(
      NoiseProfile.initiatorHello(noiseSide(profile, side), server, new Secrets(side.primitives)),
      (hello) => ({
        _tag: "say",
        message: hello.message,
        next: { _tag: "hear", length: profile.challenge, next: auth(hello.next) }
      })
    )
  },
  server: (side) => {
    const auth = (state: NoiseProfile.AwaitAuth) => (message: Uint8Array) =>
      answer(NoiseProfile.responderVerify(state, message), (decision) => {
        const accept = NoiseProfile.responderAccept(decision)
        return { _tag: "say", message: accept.message, next: done(decision.initiator, accept.session) }
      })
    const hello = (message: Uint8Array) =>
      answer(NoiseProfile.responderChallenge(noiseSide(profile, side), message), (challenge) => ({
        _tag: "say",
        message: challenge.message,
        next: { _tag: "hear", length: NoiseProfile.authLength, next: auth(challenge.next) }
      }))
    return { _tag: "hear", length: profile.hello, next: hello }
  },
  codec: NoiseFrames.codec,
  frame: (body, length) => join([Uint8Array.of(length >>> 8, length & 0xff), fixedMac, body, fixedMac]),
  read: (wire) => {
    const isMac = (at: number) => fixedMac.every((byte, i) => byte === wire[at + i])
    const bodies: Array<Uint8Array> = []
    const reading = (verdict: Reading["verdict"]): Reading => ({ plain: join(bodies), verdict })
    for (let at = 0; ; ) {
      if (wire.length - at < 18) return reading("more")
      if (!isMac(at + 2)) return reading("tampered")
      const length = (wire[at] as number) * 256 + (wire[at + 1] as number)
      if (length === 0) return reading("end")
      if (length > 65_519) return reading("violation")
      const body = at + 18
      if (wire.length - body < length + 16) return reading("more")
      if (!isMac(body + length)) return reading("tampered")
      bodies.push(wire.subarray(body, body + length))
      at = body + length + 16
    }
  }
})

export const protocols: ReadonlyArray<Protocol> = [shs, noiseOf(xkpsk0), noiseOf(xkhfs(cheapKem))]
