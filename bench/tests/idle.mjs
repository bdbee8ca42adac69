/**
 * Connections that are open and silent, both ends reading: what each takes, after garbage collection. `kib` is of the
 * resident memory of the processes, `heapKib` of V8's heap alone, which is steadier.
 */
const kib = 1024

export const idle = (count) => async (server, client) => {
  const target = await server.do("listen", { mode: "sink" })
  const open = (count) => client.do("dial", { target, count, read: true })
  const memory = () => Promise.all([server.do("memory"), client.do("memory")])
  // The code is loaded and compiled, and the pools have what they keep.
  await open(100)
  const before = await memory()
  await open(count)
  const after = await memory()
  const each = (key) => after.map((side, i) => (side[key] - before[i][key]) / count / kib)
  const [serverKib, clientKib] = each("rss")
  const [serverHeapKib, clientHeapKib] = each("heap")
  return {
    serverKib,
    clientKib,
    kib: serverKib + clientKib,
    serverHeapKib,
    clientHeapKib,
    heapKib: serverHeapKib + clientHeapKib
  }
}
