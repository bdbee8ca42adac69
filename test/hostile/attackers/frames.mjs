/**
 * Connections that are through their handshake, and send frames that carry next to nothing as fast as they are taken,
 * until it is stopped. Those that are cut off come again.
 */
import { frame, opcodes } from "../websocket.mjs"
import { dial, sleep } from "../wire.mjs"

/** As many frames as make a good write, of a stream that is cut so. */
const room = 64 * 1024

const repeated = (bytes) => Buffer.concat(Array(Math.ceil(room / bytes.length)).fill(bytes))
const empty = Buffer.alloc(0)
const none = (opcode) => repeated(frame(empty, { opcode }))

/** Frames of one byte each: their head, a mask of zeros, and the byte. */
const framed = (bytes, headOf) => {
  const out = Buffer.alloc(bytes.length * 7)
  for (let i = 0; i < bytes.length; i++) {
    out[7 * i] = headOf(i)
    out[7 * i + 1] = 0x81
    out[7 * i + 6] = bytes[i]
  }
  return out
}
const [first, middle, last] = [0x02, 0x00, 0x80]
/** As many fragments as a message may have. */
const fragments = 128

/** What each kind sends next; what is a stream of the peer's goes on being one. */
const kinds = {
  pings: () => none(opcodes.ping),
  "pings whose pongs are not read": () => none(opcodes.ping),
  pongs: () => none(opcodes.pong),
  "empty messages": () => none(opcodes.binary),
  "messages of one byte": ({ sealer }) => framed(sealer.box(Buffer.alloc(4096)), () => 0x82),
  "fragments of one byte": ({ sealer }) => {
    const bytes = sealer.box(Buffer.alloc(4096))
    const isLast = (i) => i % fragments === fragments - 1 || i === bytes.length - 1
    return framed(bytes, (i) => {
      const inMessage = i % fragments
      if (inMessage === 0) return isLast(i) ? first | last : first
      return isLast(i) ? last : middle
    })
  },
  "empty fragments": () => {
    const parts = [frame(empty, { fin: false })]
    for (let i = 2; i < fragments; i++) parts.push(frame(empty, { fin: false, opcode: opcodes.continuation }))
    parts.push(frame(empty, { opcode: opcodes.continuation }))
    return repeated(Buffer.concat(parts))
  }
}

export default async ({ count, isStopped, kind, say, stopped, target }) => {
  let connections = 0
  let cut = 0
  let bytes = 0
  const opened = () => connections++
  const isDeaf = /not read/.test(kind)
  const repeats = /^(pings|pongs|empty)/.test(kind)
  const flood = async () => {
    const peer = await dial(target, { opened })
    const { socket } = peer.raw
    socket.removeAllListeners("data")
    if (isDeaf) socket.pause()
    else socket.resume()
    const block = repeats ? kinds[kind](peer) : undefined
    const fill = () => {
      for (let i = 0; i < 4 && !isStopped() && !socket.destroyed; i++) {
        const next = block ?? kinds[kind](peer)
        bytes += next.length
        if (!socket.write(next)) return
      }
      if (!isStopped() && !socket.destroyed) setImmediate(fill)
    }
    socket.on("drain", fill)
    fill()
    await Promise.race([peer.raw.gone, stopped])
    if (!isStopped()) cut++
    peer.raw.destroy()
  }
  let ready = 0
  const floods = Array.from({ length: count }, async () => {
    if (++ready === count) say({ ready: true })
    while (!isStopped()) {
      await flood().catch(() => {})
      await Promise.race([sleep(20), stopped])
    }
  })
  await stopped
  await Promise.all(floods)
  return { connections, cut, bytes }
}
