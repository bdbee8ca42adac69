/** WebSocket frames by the plainest reading of RFC 6455, right and wrong ones to send, and what they come to. */
import { join, type Random } from "./random.ts"

export interface Frame {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly masked: boolean
  readonly payload: Uint8Array
  /** What the head says, when that is not the payload's length. */
  readonly length?: number
  /** How the length is written: 7, 16 or 64 bits. By default as few as can be. */
  readonly width?: 7 | 16 | 64
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const mask = Uint8Array.of(0x5a, 0x01, 0x80, 0xff)

export const encode = ({ fin, length: said, masked, opcode, payload, rsv, width }: Frame): Uint8Array => {
  const length = said ?? payload.length
  const bits = width ?? (length < 126 ? 7 : length < 65_536 ? 16 : 64)
  const head = [
    (fin ? 0x80 : 0) | (rsv << 4) | opcode,
    (masked ? 0x80 : 0) | (bits === 7 ? length & 0x7f : bits === 16 ? 126 : 127)
  ]
  const extended = new DataView(new ArrayBuffer(8))
  extended.setBigUint64(0, BigInt(length))
  const lengthBytes = new Uint8Array(extended.buffer, bits === 16 ? 6 : bits === 64 ? 0 : 8)
  const body = masked ? payload.map((byte, i) => byte ^ (mask[i & 3] as number)) : payload
  return join([Uint8Array.from(head), lengthBytes, masked ? mask : new Uint8Array(0), body])
}

/**
 * A frame as it is found at `at`. `next` is -1 where not all of its head is there, and -2 where not all of its payload
 * is.
 */
const decode = (
  wire: Uint8Array,
  at: number
): (Frame & { readonly length: number; readonly next: number }) | undefined => {
  if (wire.length - at < 2) return undefined
  const [first = 0, second = 0] = wire.subarray(at)
  const short = second & 0x7f
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
  const masked = second >= 0x80
  const fields = { fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 15, masked }
  if (wire.length - at - 2 < lengthBytes) return { ...fields, payload: new Uint8Array(0), length: short, next: -1 }
  const view = new DataView(wire.buffer, wire.byteOffset + at + 2, lengthBytes)
  const length = lengthBytes === 2 ? view.getUint16(0) : lengthBytes === 8 ? Number(view.getBigUint64(0)) : short
  const body = at + 2 + lengthBytes + (masked ? 4 : 0)
  const found = { ...fields, length }
  if (wire.length < body) return { ...found, payload: new Uint8Array(0), next: -1 }
  const key = wire.subarray(body - 4, body)
  const payload = wire.slice(body, body + length)
  if (masked) for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (key[i & 3] as number)
  return { ...found, payload, next: payload.length < length ? -2 : body + length }
}

export interface Rules {
  /** Whether what is read comes from a client, and so is masked. */
  readonly fromClient: boolean
  readonly maxMessage: number
}

/**
 * What a stream of frames, ended by a FIN, comes to for who reads it as bytes: what has come of a message, whole or
 * not.
 */
export interface Reading {
  readonly bytes: Uint8Array
  readonly ending: "clean end" | "Reset" | "ProtocolViolation" | "Truncated"
  /** Frames up to the one that ended it. */
  readonly frames: number
  readonly pings: ReadonlyArray<Uint8Array>
}

const isCloseCode = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)

export const read = (wire: Uint8Array, { fromClient, maxMessage }: Rules): Reading => {
  const parts: Array<Uint8Array> = []
  const pings: Array<Uint8Array> = []
  let frames = 0
  let open = false
  let before = 0
  const reading = (ending: Reading["ending"]): Reading => ({ bytes: join(parts), ending, frames, pings })
  for (let at = 0; ; ) {
    const frame = decode(wire, at)
    if (frame === undefined) return reading("Truncated")
    frames++
    const { fin, length, masked, opcode, payload, rsv } = frame
    const control = opcode >= 8
    // What the first two bytes say is judged before the rest is there.
    if (rsv !== 0 || ![0, 1, 2, 8, 9, 10].includes(opcode)) return reading("ProtocolViolation")
    if (!control && (opcode === opcodes.continuation) !== open) return reading("ProtocolViolation")
    const short = (wire[at + 1] ?? 0) & 0x7f
    if (control && (!fin || short > 125 || (opcode === opcodes.close && short === 1)))
      return reading("ProtocolViolation")
    if (masked !== fromClient) return reading("ProtocolViolation")
    if (frame.next === -1) return reading("Truncated")
    if (!control) {
      before += length
      if (length > 0 && before > maxMessage) return reading("ProtocolViolation")
      // Whatever it says, and however much of it has come.
      if (opcode === opcodes.text) return reading("ProtocolViolation")
      parts.push(payload)
      open = !fin
      if (fin) before = 0
    }
    if (frame.next < 0) return reading("Truncated")
    at = frame.next
    if (opcode === opcodes.close) {
      const code = payload.length === 0 ? 1005 : (payload[0] as number) * 256 + (payload[1] as number)
      if (code === 1000 || (code === 1005 && payload.length === 0)) return reading("clean end")
      return reading(isCloseCode(code) ? "Reset" : "ProtocolViolation")
    }
    if (opcode === opcodes.ping) pings.push(payload)
  }
}

/** What the frames that our side sent hold: whole ones, in order. */
export const framesOf = (wire: Uint8Array): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (let at = 0; ; ) {
    const frame = decode(wire, at)
    if (frame === undefined || frame.next < 0) return frames
    frames.push(frame)
    at = frame.next
  }
}

const codes = [
  1000, 1000, 1000, 1001, 1001, 1011, 4000, 1002, 1004, 1005, 1006, 1009, 1011, 1015, 0, 999, 2999, 3000, 4999, 5000,
  65_535
]

const lengths = [0, 1, 2, 125, 126, 127, 600, 4095, 4096, 4097]

const close = (random: Random): Uint8Array => {
  const code = random.pick(codes)
  const said = join([Uint8Array.of(code >> 8, code & 255), random.bytes(random.pick([0, 0, 1, 20, 123, 124]))])
  return random.oneIn(10) ? said.slice(0, 1) : random.pick([said, said, new Uint8Array(0)])
}

/** A conversation that is right, but for a fault here and there. */
export const conversation = (random: Random, masked: boolean): Uint8Array => {
  const frames: Array<Uint8Array> = []
  const rate = random.pick([50, 1000, 5000, 5000])
  let open = false
  const put = (opcode: number, payload: Uint8Array, fin = true) => {
    const odd = <A>(right: A, ...wrong: ReadonlyArray<A>): A => (random.oneIn(rate * 4) ? random.pick(wrong) : right)
    const length = odd(undefined, 0, 1, 126, 70_000, 2 ** 33, 2 ** 53 - 1)
    const width = random.oneIn(40) ? random.pick([16, 64] as const) : undefined
    frames.push(
      encode({
        fin: odd(fin, !fin),
        rsv: odd(0, 1, 2, 4, 7),
        opcode: odd(opcode, random.below(16)),
        masked: odd(masked, !masked),
        payload,
        ...(length === undefined ? {} : { length, width: 64 }),
        ...(length === undefined && width !== undefined && opcode < 8 ? { width } : {})
      })
    )
  }
  for (let left = random.between(5, 120); left > 0; left--) {
    const payload = random.bytes(random.oneIn(6) ? random.pick(lengths) : random.below(40))
    if (random.oneIn(6)) {
      put(random.pick([opcodes.ping, opcodes.ping, opcodes.pong]), payload.subarray(0, random.oneIn(rate) ? 200 : 125))
    } else if (random.oneIn(rate)) {
      put(opcodes.text, payload, random.oneIn(2))
    } else if (random.oneIn(rate * 2)) {
      for (let parts = random.pick([126, 127, 128, 129, 140]); parts > 0; parts--) {
        put(open ? opcodes.continuation : opcodes.binary, payload.subarray(0, 8), false)
        open = true
      }
    } else {
      const fin = !random.oneIn(4)
      put(open ? opcodes.continuation : opcodes.binary, payload, fin)
      open = !fin
    }
  }
  if (!random.oneIn(4)) put(opcodes.close, close(random))
  if (random.oneIn(8)) put(opcodes.binary, random.bytes(9))
  const wire = join(frames)
  return random.oneIn(10) ? random.mutate(wire) : wire
}
