/**
 * From work to figures. How much work a cell does is told in CPU seconds: on a busy machine the same work takes longer,
 * and less of it would be measured before V8 has compiled what runs.
 */

/** CPU seconds of this process so far. */
export const cpuSeconds = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

/**
 * How many CPU seconds a process that does one thing over and over runs before it is measured. On a busy machine V8's
 * compiler, which has threads of its own, takes that long.
 */
export const warmUp = 2

/** Seconds of wall clock and CPU seconds of each side for some work. */
export const timed = async (server, client, work) => {
  const cpus = () => Promise.all([server.do("cpu"), client.do("cpu")])
  const [serverBefore, clientBefore] = await cpus()
  const began = performance.now()
  const result = await work()
  const wall = (performance.now() - began) / 1000
  const [serverAfter, clientAfter] = await cpus()
  return { result, wall, server: serverAfter - serverBefore, client: clientAfter - clientBefore }
}

/**
 * What `run(n)` costs in seconds: CPU of both sides. Of a peer that mostly `waits`, the wall clock counts, because its
 * work would have no end.
 */
export const costOf = (server, client, waits, run) => async (n) => {
  const spent = await timed(server, client, () => run(n))
  return waits ? spent.wall : spent.server + spent.client
}

/** Repeats work with growing n, which warms both sides up, and says which n costs so many seconds. */
export const calibrate = async (cost, seconds, start) => {
  let n = start
  for (;;) {
    const took = await cost(n)
    if (took > seconds * 0.3) return Math.max(1, Math.round((n * seconds) / took))
    n = Math.ceil(n * Math.min(8, Math.max(2, (seconds * 0.4) / took)))
  }
}

export const gibibyte = 2 ** 30
