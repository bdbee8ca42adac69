/** Connects, authenticates, is echoed and says goodbye, over and over. Each that it is told is another so many. */
import { exchange, times } from "../wire.mjs"

export default async ({ atOnce, onLine, say, stopped, target }) => {
  const failures = []
  let done = 0
  onLine(async ({ count }) => {
    await times(count, atOnce, async (i) => {
      try {
        await exchange(target, { text: `cycle ${i}` })
        done++
      } catch (error) {
        failures.push(error.message)
      }
    })
    say({ ready: true, done, failures })
  })
  await stopped
  return { connections: done + failures.length, done, failures }
}
