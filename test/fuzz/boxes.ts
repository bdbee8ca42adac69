/**
 * Readers of sealed frames, however the stream is cut. With the identity cipher they give what a plain reading of the
 * whole gives; with the real one, of a stream that was changed, never a byte that was not sealed, and never its end.
 */
import type * as Codec from "../../src/Codec.ts"
import { primitives as native } from "../support/primitives.ts"
import { check, type Fuzzer, type Notes } from "./fuzzer.ts"
import { cheap, identity } from "./primitives.ts"
import { type Keys, type Protocol, protocols, type Reading } from "./protocols.ts"
import { join, type Random } from "./random.ts"

const keysOf = ({ nonceLength }: Protocol): Keys => ({
  key: new Uint8Array(32).fill(1),
  nonce: new Uint8Array(nonceLength)
})
/** Both directions have the same keys: what one codec seals, its twin opens. */
export const keys = (protocol: Protocol) => ({ encrypt: keysOf(protocol), decrypt: keysOf(protocol) })

/** Reads piece by piece, and checks what holds of every reader. */
const read = (opener: Codec.Opener, pieces: ReadonlyArray<Uint8Array>): Reading => {
  const out: Array<Uint8Array> = []
  let verdict: Reading["verdict"] = "more"
  let given = 0
  for (const piece of pieces) {
    const before = out.length
    const answer = opener.open(piece, out)
    given += piece.length
    const got = out.slice(before)
    check(
      verdict === "more" || (got.length === 0 && answer === verdict),
      () => `after ${verdict}: ${answer}, ${got.length} pieces`
    )
    check(
      got.every((each) => each.length > 0),
      () => "an empty piece of plaintext"
    )
    // What is given out lies in what came in: nobody else's memory, and no more than there was.
    check(out.reduce((sum, each) => sum + each.length, 0) <= given, () => "more plaintext than bytes")
    verdict = answer
  }
  return { plain: join(out), verdict }
}

const equal = (got: Reading, wanted: Reading): void => {
  check(got.verdict === wanted.verdict, () => `${got.verdict} instead of ${wanted.verdict}`)
  check(got.plain.length === wanted.plain.length, () => `${got.plain.length} bytes instead of ${wanted.plain.length}`)
  check(Buffer.compare(got.plain, wanted.plain) === 0, () => "other bytes")
}

// -----------------------------------------------------------------------------
// with the identity cipher
// -----------------------------------------------------------------------------

const lengths = [0, 1, 2, 15, 16, 17, 33, 34, 35, 100, 600]
const longLengths = [4094, 4095, 4096, 4097, 65_519, 65_535]

const frames = (protocol: Protocol, random: Random): Uint8Array => {
  const parts: Array<Uint8Array> = []
  const end = () => {
    const { sealer } = protocol.codec(identity, keys(protocol))
    const stage = new Uint8Array(sealer.endLength)
    sealer.sealEnd(stage, 0)
    return stage
  }
  for (let left = random.between(1, 6); left > 0; left--) {
    const body = random.bytes(random.pick(random.oneIn(30) ? longLengths : lengths))
    const length = random.oneIn(12) ? random.pick([...lengths, ...longLengths]) : body.length
    parts.push(
      random.oneIn(12) ? end() : random.oneIn(30) ? random.bytes(random.below(80)) : protocol.frame(body, length)
    )
  }
  if (random.oneIn(2)) parts.push(end())
  const wire = join(parts)
  return random.oneIn(3) ? random.mutate(wire) : wire
}

const open = (protocol: Protocol, random: Random, { input, saw }: Notes): void => {
  const wire = frames(protocol, random)
  const pieces = random.cut(wire)
  input(
    () =>
      `${protocol.name}, lengths ${pieces.map(({ length }) => length).join(",")}: ${Buffer.from(wire).toString("hex")}`
  )
  const wanted = protocol.read(wire)
  saw(`${protocol.name}: ${wanted.verdict}${wanted.plain.length > 0 ? ", with plaintext" : ""}`)
  equal(read(protocol.codec(identity, keys(protocol)).opener, pieces), wanted)
}

// -----------------------------------------------------------------------------
// with a cipher
// -----------------------------------------------------------------------------

const seal = (sealer: Codec.Sealer, bodies: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => [
  ...bodies.map((body) => {
    const stage = new Uint8Array(sealer.head + body.length + sealer.tail)
    stage.set(body, sealer.head)
    sealer.seal(stage, 0, body.length)
    return stage
  }),
  (() => {
    const stage = new Uint8Array(sealer.endLength)
    sealer.sealEnd(stage, 0)
    return stage
  })()
]

/** The stream as it went in, or with its frames or bytes changed on the way. */
const onTheWay = (random: Random, sealed: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = join(sealed)
  switch (random.below(4)) {
    case 0:
      return whole
    case 1:
      return whole.slice(0, random.below(whole.length))
    case 2: {
      const moved = [...sealed]
      const [frame] = moved.splice(random.below(moved.length), random.oneIn(4) ? 0 : 1)
      if (frame !== undefined && random.oneIn(2)) moved.splice(random.below(moved.length + 1), 0, frame)
      if (random.oneIn(2)) moved.splice(random.below(moved.length + 1), 0, random.pick(sealed))
      return join(moved)
    }
    default:
      return random.mutate(whole)
  }
}

const authentic = (protocol: Protocol, random: Random, { input, saw }: Notes): void => {
  const primitives = random.oneIn(4) ? native : cheap
  const { sealer } = protocol.codec(primitives, keys(protocol))
  const longest = Math.min(sealer.maxBody, random.oneIn(20) ? 65_535 : 600)
  const bodies = Array.from({ length: random.between(0, 5) }, () => random.bytes(random.between(1, longest)))
  const sealed = seal(sealer, bodies)
  const honest = join(sealed)
  const wire = onTheWay(random, sealed)
  input(
    () =>
      `${protocol.name} sealed, ${bodies.length} bodies, ${wire.length} of ${honest.length} bytes: ${Buffer.from(wire).toString("hex")}`
  )
  const got = read(protocol.codec(primitives, keys(protocol)).opener, random.cut(wire))
  const plain = join(bodies)
  check(Buffer.compare(got.plain, plain.subarray(0, got.plain.length)) === 0, () => "bytes that nobody sealed")
  // What comes behind the end is nobody's: only what is before it has to be as it was.
  const whole = wire.length >= honest.length && Buffer.compare(wire.subarray(0, honest.length), honest) === 0
  check((got.verdict === "end") === whole, () => `${got.verdict}, and the stream is ${whole ? "whole" : "not whole"}`)
  check(!whole || got.plain.length === plain.length, () => "an end before all of it")
  saw(`${protocol.name} sealed: ${got.verdict}`)
}

export const boxes: Fuzzer = {
  name: "boxes",
  reaches: protocols.flatMap(({ name }) => [
    ...["more", "end", "tampered", "violation"].map((verdict) => `${name}: ${verdict}, with plaintext`),
    ...["more", "end", "tampered"].map((verdict) => `${name} sealed: ${verdict}`)
  ]),
  run: (random, notes) => {
    const protocol = random.pick(protocols)
    if (random.oneIn(4)) authentic(protocol, random, notes)
    else open(protocol, random, notes)
    return 1
  }
}
