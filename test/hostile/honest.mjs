/**
 * Somebody who wants to be served while others attack: one exchange after the other, each on a connection of its own.
 * After the first it waits until it is told to go on. With a `delay`, it is so many milliseconds away: they pass before
 * its first message. It takes one order after the other, each a line: whom it visits, `{"goOn"}`, `{"stop"}`.
 */
import { createInterface } from "node:readline"
import { exchange, percentiles, sleep } from "./wire.mjs"

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

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)

const visit = async ({ delay, every, patience, target }, told, stopped) => {
  let isStopped = false
  stopped.then(() => {
    isStopped = true
  })
  // What a server makes once it makes for the first exchange, which counts for nothing.
  await within(patience, exchange(target, {}))
  say({ exchanged: 0 })
  await Promise.race([told, stopped])
  const durations = []
  const failures = []
  while (!isStopped) {
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
  say({ result: { exchanges: durations.length, failures, ...percentiles(durations) } })
}

const promised = () => {
  let resolve
  const promise = new Promise((done) => {
    resolve = done
  })
  return { promise, resolve }
}

let told = promised()
let stopped = promised()
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line)
    if (order.goOn) told.resolve()
    else if (order.stop) stopped.resolve()
    else {
      told = promised()
      stopped = promised()
      visit(order, told.promise, stopped.promise)
    }
  })
  .on("close", () => process.exit(0))
