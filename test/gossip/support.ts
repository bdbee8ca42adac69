/** Nodes of a gossip without any I/O, and exchanges between them. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as AddressRecord from "../../src/AddressRecord.ts"
import { Primitives } from "../../src/crypto/Primitives.ts"
import * as Exchange from "../../src/gossip/exchange.ts"
import type { Fault } from "../../src/gossip/fault.ts"
import { Known } from "../../src/gossip/known.ts"
import * as Wire from "../../src/gossip/wire.ts"
import * as Identity from "../../src/Identity.ts"
import { primitives } from "../support/primitives.ts"

export const wire = Effect.runSync(Effect.provideService(AddressRecord.records, Primitives, primitives))

const pairs = new Map<number, Identity.KeyPair>()

/** The key pair of this number. */
export const pairOf = (who: number): Identity.KeyPair => {
  const known = pairs.get(who)
  if (known !== undefined) return known
  const seed = new Uint8Array(32)
  new DataView(seed.buffer).setUint32(0, who)
  const pair = Identity.fromSeed(primitives, Redacted.make(seed))
  pairs.set(who, pair)
  return pair
}

/** The time in all of these tests, in seconds. */
export const now = 1_000_000

const signed = new Map<string, AddressRecord.AddressRecord>()

/** A record of the key pair `who`. Each is signed once. */
export const recordOf = (
  who: number,
  sequence: number,
  { expires = now + 3600, addresses = [`memory:${who}`] }: { expires?: number; addresses?: ReadonlyArray<string> } = {}
): AddressRecord.AddressRecord => {
  const name = JSON.stringify([who, sequence, expires, addresses])
  const record = signed.get(name) ?? Result.getOrThrow(wire.sign(pairOf(who), { sequence, expires, addresses }))
  signed.set(name, record)
  return record
}

/** Numbers from 0 to below 1 that can be had again. */
export const numbers = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export const node = (
  listed: ReadonlyArray<number>,
  {
    decode = wire.decode,
    others = 1000,
    random = Math.random
  }: { decode?: AddressRecord.Records["decode"]; others?: number; random?: () => number } = {}
): Exchange.Node => ({
  known: new Known(
    listed.map((who) => pairOf(who).publicKey),
    others
  ),
  decode,
  random
})

/** The messages as they arrive. */
export const carried = (messages: ReadonlyArray<Wire.Message>): ReadonlyArray<Wire.Message> => {
  const arrived: Array<Wire.Message> = []
  const found = new Wire.Frames().read(Wire.write(messages), (frame) => {
    const message = Wire.read(frame)
    if (Result.isFailure(message)) return message.failure
    arrived.push(message.success)
    return undefined
  })
  if (found !== undefined) throw new Error(JSON.stringify(found))
  return arrived
}

/** Lets two nodes have an exchange. How many records and bytes were sent, or the fault that ended it. */
export const exchange = (
  dialer: Exchange.Node,
  listener: Exchange.Node,
  at = now,
  carry: typeof carried = carried
): { readonly records: number; readonly bytes: number; readonly fault: Fault | undefined } => {
  const sides = [
    { node: dialer, ...Exchange.begin(dialer, at) },
    { node: listener, ...Exchange.listening }
  ]
  let [records, bytes] = [0, 0]
  for (let turn = 0; sides.some(({ send }) => send.length > 0); turn = 1 - turn) {
    const [from, to] = [sides[turn], sides[1 - turn]]
    if (from === undefined || to === undefined) throw new Error("there are two sides")
    const sent = from.send
    from.send = []
    const answers: Array<Wire.Message> = []
    for (const message of carry(sent)) {
      bytes += Wire.write([message]).length
      if (message._tag === "Record") records++
      const step = Exchange.step(to.node, to.state, message, at)
      if (Result.isFailure(step)) return { records, bytes, fault: step.failure }
      to.state = step.success.state
      answers.push(...step.success.send)
    }
    to.send = answers
  }
  const states = sides.map(({ state }) => state._tag).join()
  if (states !== "AwaitingGoodbye,Finished") throw new Error(states)
  return { records, bytes, fault: undefined }
}
