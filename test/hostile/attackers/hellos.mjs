/**
 * Peers that say a good hello, are answered, and stop: so many a second, from this source or each from one of its own,
 * until it is stopped.
 */
import { clientOf, connect, protocolOf, sleep } from "../wire.mjs"

/** Loopback is a network of its own: 16 million sources. */
const sourceOf = (i) => `127.${1 + (Math.floor(i / 62_500) % 250)}.${Math.floor(i / 250) % 250}.${1 + (i % 250)}`

export default async ({ isStopped, many, onLine, rate, say, stopped, target }) => {
  const raws = new Set()
  let connections = 0
  let answered = 0
  const opened = () => connections++
  const [challenge] = protocolOf(target.stack).lengths.server
  const one = async (i) => {
    try {
      const raw = await connect(target, { opened, ...(many && { localAddress: sourceOf(i) }) })
      raws.add(raw)
      raw.gone.then(() => {
        raws.delete(raw)
        raw.destroy()
      })
      raw.write(clientOf(target).next().value)
      await raw.read(challenge)
      answered++
    } catch {
      // It has made room.
    }
  }
  const attempts = []
  let made = 0
  if (rate === undefined) {
    onLine((order) => {
      for (let i = 0; i < order.count; i++) attempts.push(one(made++))
    })
    say({ ready: true })
    await stopped
  } else {
    say({ ready: true })
    const began = performance.now()
    while (!isStopped()) {
      const due = Math.floor(((performance.now() - began) * rate) / 1000)
      while (made < due) attempts.push(one(made++))
      await Promise.race([sleep(10), stopped])
    }
  }
  for (const raw of raws) raw.destroy()
  // Those that were still on their way.
  await Promise.all(attempts)
  for (const raw of raws) raw.destroy()
  return { connections, answered }
}
