/** A thread that connects `count` times and wakes the thread that waits for it. */
import * as net from "node:net"
import { workerData } from "node:worker_threads"

const { count, options, shared } = workerData
const state = new Int32Array(shared)
let connected = 0
const done = (answer) => {
  Atomics.store(state, 0, answer)
  Atomics.notify(state, 0)
}
for (let i = 0; i < count; i++) {
  const socket = net.connect(options)
  socket.on("error", () => done(2))
  socket.on("connect", () => {
    if (++connected === count) done(1)
  })
}
