/** From work that is done for some time to figures. */

/** Repeats `run(n)` with growing n, which warms both sides up, and says which n takes so many seconds. */
export const calibrate = async (run, seconds, start) => {
  let n = start
  for (;;) {
    const began = performance.now()
    await run(n)
    const took = (performance.now() - began) / 1000
    if (took > seconds * 0.3) return Math.max(1, Math.round((n * seconds) / took))
    n = Math.ceil(n * Math.min(8, Math.max(2, (seconds * 0.4) / took)))
  }
}

/** Seconds of wall clock and CPU seconds of each side for some work. */
export const timed = async (server, client, work) => {
  const cpus = () => Promise.all([server.do("cpu"), client.do("cpu")])
  const [serverBefore, clientBefore] = await cpus()
  const began = performance.now()
  const result = await work()
  const wall = (performance.now() - began) / 1000
  const [serverAfter, clientAfter] = await cpus()
  return { result, wall, server: (serverAfter - serverBefore) / 1e6, client: (clientAfter - clientBefore) / 1e6 }
}

export const gibibyte = 2 ** 30

export const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
