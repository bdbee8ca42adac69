/** A peer that sends boxes of one byte as fast as it can, and reads what is echoed, until it is stopped. */
import { dial } from "../wire.mjs"

export default async ({ isStopped, say, stopped, target }) => {
  const { raw, sealer } = await dial(target)
  const body = Buffer.alloc(1)
  let boxes = 0
  raw.socket.removeAllListeners("data")
  raw.socket.resume()
  const flood = () => {
    let more = true
    while (more && !isStopped()) {
      const batch = []
      for (let i = 0; i < 400; i++) batch.push(sealer.box(body))
      boxes += batch.length
      more = raw.write(Buffer.concat(batch))
      if (more) return setImmediate(flood)
    }
  }
  raw.socket.on("drain", flood)
  flood()
  say({ ready: true })
  await stopped
  const died = raw.over
  raw.destroy()
  return { connections: 1, boxes, died: died ?? null }
}
