/** Somebody who wants to be served while others attack: one exchange after the other, each on a connection of its own. */
import { exchange, percentiles, run, sleep } from "./wire.mjs"

/** How long it waits for one exchange. */
const patience = 5000

const within = async (millis, promise) => {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("too late")), millis)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

run(async ({ every, isStopped, say, stopped, target }) => {
  const durations = []
  const failures = []
  while (!isStopped()) {
    const began = performance.now()
    try {
      await within(patience, exchange(target))
      durations.push(performance.now() - began)
    } catch (error) {
      failures.push(error.message)
    }
    if (durations.length + failures.length === 1) say({ ready: true })
    await Promise.race([sleep(every), stopped])
  }
  return { exchanges: durations.length, failures, ...percentiles(durations) }
})
