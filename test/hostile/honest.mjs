/**
 * Somebody who wants to be served while others attack: one exchange after the other, each on a connection of its own.
 * After the first it waits until it is told to go on. With a `delay`, it is so many milliseconds away: they pass before
 * its first message.
 */
import { exchange, percentiles, run, sleep } from "./wire.mjs"

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

run(async ({ delay, every, isStopped, onLine, patience, say, stopped, target }) => {
  const told = new Promise((resolve) => onLine(resolve))
  // What a server makes once it makes for the first exchange, which counts for nothing.
  await within(patience, exchange(target, {}))
  say({ exchanged: 0 })
  await Promise.race([told, stopped])
  const durations = []
  const failures = []
  while (!isStopped()) {
    const began = performance.now()
    try {
      await within(patience, exchange(target, { delay }))
      durations.push(performance.now() - began)
    } catch (error) {
      failures.push(error.message)
    }
    say({ exchanged: durations.length + failures.length })
    await Promise.race([sleep(every), stopped])
  }
  return { exchanges: durations.length, failures, ...percentiles(durations) }
})
