const [, , transport = "ws", conc = "1", count = "2000", rounds = "5"] = process.argv
const { make } = await import("/tmp/w/bench/peers/multiserver.mjs")
const server = await make({ transport, nodelay: true }),
  client = await make({ transport, nodelay: true })
const target = await server.listen("echo", () => {})
const byte = Buffer.alloc(1, 1)
const one = async () => {
  const c = await client.dial(target)
  await new Promise((res) => {
    c.read(() => res())
    c.send(byte)
  })
  c.close()
}
const many = async (n, k) => {
  let left = n
  const w = async () => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: k }, w))
}
await many(+process.env.WARM || 6000, +conc)
const out = []
for (let i = 0; i < +rounds; i++) {
  const a = process.cpuUsage()
  await many(+count, +conc)
  const b = process.cpuUsage(a)
  out.push((b.user + b.system) / +count)
}
out.sort((a, b) => a - b)
console.log(JSON.stringify({ med: out[out.length >> 1], min: out[0] }))
process.exit(0)
