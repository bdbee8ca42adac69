/** A live heap, like that of an application: objects that stay. */
export const ballast = (megabytes) => {
  const kept = []
  const { heapUsed } = process.memoryUsage()
  while (process.memoryUsage().heapUsed - heapUsed < megabytes * 2 ** 20) {
    for (let i = 0; i < 20_000; i++)
      kept.push({ id: i, name: `name ${kept.length}`, tags: [i, i + 1], parent: kept.at(-1) })
  }
  globalThis.ballast = kept
}
