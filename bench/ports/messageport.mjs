/** Bare message ports. Chunks are copied once and moved, and as many are on their way as `port` allows. */
import { isMainThread, parentPort } from "node:worker_threads"

const window = 256 * 1024

const post = (port, chunk) => {
  const { buffer } = chunk.slice()
  port.postMessage(buffer, [buffer])
}

export const dial = (worker) => {
  let free = window
  let wake = () => {}
  worker.on("message", (said) => {
    if (typeof said === "number") free += said
    wake()
  })
  const heard = () =>
    new Promise((resolve) => {
      wake = resolve
    })
  return {
    send: async (size, count) => {
      const chunk = new Uint8Array(size)
      for (let i = 0; i < count; i++) {
        while (free < size) await heard()
        free -= size
        post(worker, chunk)
      }
      worker.postMessage("all")
      while (free < window) await heard()
    },
    ping: (chunk) => {
      post(worker, chunk)
      return heard()
    }
  }
}

if (!isMainThread) {
  let unsaid = 0
  const say = () => {
    parentPort.postMessage(unsaid)
    unsaid = 0
  }
  parentPort.on("message", (said) => {
    if (said === "all") say()
    else if (said.byteLength < 1024) parentPort.postMessage(said, [said])
    else {
      unsaid += said.byteLength
      if (unsaid >= window / 2) say()
    }
  })
}
