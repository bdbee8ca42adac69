/** Connections that are open and silent, both ends reading: memory of each side, after garbage collection. */
const kib = 1024

export const idle = (count) => async (server, client) => {
  const target = await server.do("listen", { mode: "sink" })
  const open = (count) => client.do("dial", { target, count, read: true })
  const rss = () => Promise.all([server.do("rss"), client.do("rss")])
  // The code is loaded and compiled, and the pools have what they keep.
  await open(100)
  const before = await rss()
  await open(count)
  const after = await rss()
  const [serverKib, clientKib] = after.map((bytes, i) => (bytes - before[i]) / count / kib)
  return { serverKib, clientKib, kib: serverKib + clientKib }
}
