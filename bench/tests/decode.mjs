/** Addresses decoded on one core, beside multiserver's own parsing. */
import { cpuSeconds, warmUp } from "../measure.mjs"
import { effect, own } from "../ours.mjs"
import { rowOf } from "../peers/registry.mjs"

export const decode = (child, { peer, seconds }) =>
  child.do("alone", { path: import.meta.url, peer: rowOf(peer), seconds })

const key = (seed) => Buffer.alloc(32, seed).toString("base64")

/** What gossip is made of. */
const typical = Array.from({ length: 64 }, (_, i) => {
  const shs = `shs:${key(i + 1)}`
  return [
    `net:192.168.${i}.17:8008~${shs}`,
    `net:pub${i}.example.org:8008~${shs}`,
    `ws://10.0.${i}.3:8989~${shs}`,
    `net:fe80::${i}:8008~${shs}`
  ]
}).flat()

const decoders = {
  ours: async () => {
    const [{ isSuccess }, { parse }] = await Promise.all([effect("Result"), own("Address")])
    return (text) => isSuccess(parse(text))
  },
  multiserver: async () => {
    const [compose, net, shs, ws] = await Promise.all(
      ["compose", "plugins/net", "plugins/shs", "plugins/ws"].map(
        async (name) => (await import(`multiserver/${name}.js`)).default
      )
    )
    const keys = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) }
    const transform = shs({ keys, auth: () => {} })
    const stacks = [compose([net({ port: 1 }), transform]), compose([ws({}), transform])]
    return (text) => stacks.some((stack) => stack.parse(text) !== null)
  }
}

export const alone = async ({ peer, seconds }) => {
  const accepts = await decoders[peer]()
  for (const text of typical) if (!accepts(text)) throw new Error(`${peer} does not read ${text}`)
  const until = (end) => {
    let rounds = 0
    while (cpuSeconds() < end) for (let i = 0; i < 10; i++, rounds++) for (const text of typical) accepts(text)
    return rounds * typical.length
  }
  until(cpuSeconds() + warmUp)
  const before = cpuSeconds()
  const decoded = until(before + seconds)
  return { perCpuSecond: decoded / (cpuSeconds() - before) }
}
