/**
 * Peers that break the protocol and stay: so many at once, and when these have done it the next ones come, until it is
 * stopped. They read what they are told, and answer nothing.
 */
import { frame, opcodes } from "../websocket.mjs"
import { connect } from "../wire.mjs"

const violation = frame(Buffer.from("text"), { opcode: opcodes.text })

export default async ({ atOnce, count, isStopped, say, target }) => {
  const raws = new Set()
  let connections = 0
  let violated = 0
  const opened = () => connections++
  const one = async () => {
    try {
      const raw = await connect(target, { opened })
      raws.add(raw)
      raw.gone.then(() => {
        raws.delete(raw)
        raw.destroy()
      })
      return raw
    } catch {
      return undefined
    }
  }
  while (violated < count && !isStopped()) {
    const batch = await Promise.all(Array.from({ length: atOnce }, one))
    for (const raw of batch) {
      if (raw?.over !== undefined || raw === undefined) continue
      raw.send(violation)
      violated++
    }
    if (batch.every((raw) => raw === undefined)) break
  }
  say({ ready: true, lingering: raws.size })
  await Promise.all([...raws].map((raw) => raw.gone))
  return { connections, violated }
}
