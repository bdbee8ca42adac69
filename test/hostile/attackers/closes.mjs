/**
 * What can be done with a Close, by a peer before its handshake and by one that is through. However it goes, the socket
 * has to be gone soon after, though none of these answers or leaves by itself.
 */
import { close, frame, opcodes } from "../websocket.mjs"
import { connect, dial, inTime, percentiles, sleep, times } from "../wire.mjs"

const longClose = frame(Buffer.alloc(126), { opcode: opcodes.close })
const part = (fin, opcode = opcodes.binary) => frame(Buffer.from("part"), { fin, opcode })

const kinds = {
  "a Close, and silence": (raw) => raw.send(close(1000)),
  "a Close with no code": (raw) => raw.send(close()),
  "a Close that goes away": (raw) => raw.send(close(1001)),
  "a Close with a code that nobody may send": (raw) => raw.send(close(1005)),
  "a Close with no such code": (raw) => raw.send(close(65_535)),
  "a Close of one byte": (raw) => raw.send(frame(Buffer.from([3]), { opcode: opcodes.close })),
  "a Close that is too long": (raw) => raw.send(longClose),
  "a Close whose reason is no text": (raw) =>
    raw.send(frame(Buffer.from([0x03, 0xe8, 0xff, 0xfe]), { opcode: opcodes.close })),
  "a Close without a mask": (raw) => raw.send(close(1000, { mask: false })),
  "a Close in pieces": (raw) => raw.send(frame(Buffer.from([3, 232]), { fin: false, opcode: opcodes.close })),
  "a Close within a message": (raw) => raw.send(Buffer.concat([part(false), close(1000), part(true, 0)])),
  "a thousand Closes": (raw) => raw.send(Buffer.concat(Array(1000).fill(close(1000)))),
  "messages for ever after a Close": async (raw) => {
    raw.send(close(1000))
    while (raw.socket.writable && !raw.socket.destroyed) {
      raw.send(frame(Buffer.alloc(1000)))
      await sleep(1)
    }
  },
  "half a Close": (raw) => raw.send(close(1000).subarray(0, 3)),
  "a FIN, and no Close": (raw) => raw.fin(),
  "a Close and a FIN": (raw) => {
    raw.send(close(1000))
    raw.fin()
  }
}

/** These say nothing that is complete: as long as the peer is there, so is the connection. */
const endsByItself = (kind) => kind !== "half a Close"

export default async ({ rounds, target }) => {
  const all = Object.entries(kinds)
  const stay = []
  const lasted = []
  let connections = 0
  const opened = () => connections++
  await times(rounds * all.length * 2, 16, async (i) => {
    const [kind, behave] = all[i % all.length]
    const through = Math.floor(i / all.length) % 2 === 1
    const raw = through ? (await dial(target, { opened })).raw : await connect(target, { opened })
    const began = performance.now()
    const done = behave(raw)
    if (endsByItself(kind)) {
      if ((await inTime(raw.gone)) === undefined) stay.push(kind)
      else lasted.push(performance.now() - began)
    }
    raw.destroy()
    await done
  })
  return { connections, kinds: all.length, stay: [...new Set(stay)], ...percentiles(lasted) }
}
