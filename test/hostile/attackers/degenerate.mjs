/** Keys that nobody can hold, points that make every secret zero, and signatures that are none. */
import { clientOf, connect, inTime, protocolOf, times } from "../wire.mjs"

export default async ({ rounds, target }) => {
  const { faultyClients, lengths } = protocolOf(target.stack)
  const accepted = []
  await times(rounds * faultyClients.length, 8, async (i) => {
    const [name, faulty] = faultyClients[i % faultyClients.length]
    const raw = await connect(target)
    const steps = clientOf(target, faulty)
    try {
      raw.write(steps.next().value)
      raw.write(steps.next(await raw.read(lengths.server[0])).value)
      await inTime(raw.closed)
    } catch {
      // Refused before its challenge.
    }
    if (raw.over === undefined || raw.received > lengths.server[0]) accepted.push(name)
    raw.destroy()
  })
  return { connections: rounds * faultyClients.length, kinds: faultyClients.length, accepted }
}
