/**
 * Those who are honest and slow, from one source: so many milliseconds to the first message, and again to the second.
 * Each has an exchange on a connection of its own, so many at once, over and over until it is stopped. It says so after
 * the first. Without `atOnce` each that it is told is one, and it says so after each.
 */
import net from "node:net"
import { clientOf, percentiles, protocolOf, Raw, sleep } from "../wire.mjs"

const connect = ({ host, port }, localAddress, patience) =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, localAddress, noDelay: true, allowHalfOpen: true })
    const late = setTimeout(() => socket.destroy(new Error("too late to connect")), patience)
    socket.once("error", reject).once("close", () => clearTimeout(late))
    socket.once("connect", () => {
      clearTimeout(late)
      socket.off("error", reject)
      resolve(new Raw(socket))
    })
  })

/** Throws where it was not served. */
const visit = async ({ patience, pause, source, target }) => {
  const raw = await connect(target, source, patience)
  let isLate = false
  const late = setTimeout(() => {
    isLate = true
    raw.destroy()
  }, patience)
  try {
    const { lengths } = protocolOf(target.stack)
    const steps = clientOf(target)
    await sleep(pause)
    raw.write(steps.next().value)
    const challenge = await raw.read(lengths.server[0])
    await sleep(pause)
    raw.write(steps.next(challenge).value)
    const { session } = steps.next(await raw.read(lengths.server[1])).value
    raw.write(session.sealer.box(Buffer.from("ping")))
    let heard = ""
    while (heard.length < 4) {
      const chunk = await raw.take()
      if (chunk === undefined) throw new Error(`over: ${raw.over}`)
      heard += session.opener.push(chunk)
    }
    if (heard !== "ping") throw new Error("not an echo")
    raw.write(session.sealer.goodbye())
    while (!session.opener.ended) {
      const chunk = await raw.take()
      if (chunk === undefined) throw new Error("no goodbye")
      session.opener.push(chunk)
    }
  } catch (error) {
    throw isLate ? new Error("too late") : error
  } finally {
    clearTimeout(late)
    raw.end()
    raw.closed.then(() => raw.destroy())
  }
}

export default async ({ atOnce, isStopped, onLine, say, stopped, ...order }) => {
  const durations = []
  const failures = []
  let visits = 0
  const guest = async () => {
    const began = performance.now()
    try {
      await visit(order)
      durations.push(performance.now() - began)
    } catch (error) {
      failures.push(error.message)
      await sleep(order.pause)
    }
    visits++
    if (atOnce === undefined || visits === 1) say({ visits })
  }
  const again = async () => {
    while (!isStopped()) await guest()
  }
  if (atOnce === undefined) {
    onLine(guest)
    await stopped
  } else await Promise.all(Array.from({ length: atOnce }, again))
  return { served: durations.length, failures, ...percentiles(durations) }
}
