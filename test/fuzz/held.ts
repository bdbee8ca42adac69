/**
 * What readers of sealed frames hold while they wait, in bytes for each reader. In a process of its own, because a
 * collection of a test run's heap takes most of a second.
 */
import { keys } from "./boxes.ts"
import { identity } from "./primitives.ts"
import { type Protocol, protocols } from "./protocols.ts"

const gc = globalThis.gc ?? (() => {})

/** Once nothing changes any more: buffers are let go of on another thread, a moment after. */
const held = async (): Promise<number> => {
  let last = -1
  for (let same = 0; same < 3; ) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 20))
    const now = process.memoryUsage().arrayBuffers
    same = now === last ? same + 1 : 0
    last = now
  }
  return last
}

const grownBy = async (protocol: Protocol) => {
  const whole = protocol.frame(new Uint8Array(4096), 4096)
  const readers = Array.from({ length: 500 }, () => protocol.codec(identity, keys(protocol)).opener)
  const grown = async (length: number) => {
    const before = await held()
    for (const reader of readers) reader.open(whole.slice(0, length), [])
    return ((await held()) - before) / readers.length
  }
  return {
    betweenFrames: await grown(whole.length),
    withinFrame: await grown(whole.length - 1),
    withinHead: await grown(1),
    frame: whole.length
  }
}

const all: Record<string, object> = {}
for (const protocol of protocols) all[protocol.name] = await grownBy(protocol)
process.stdout.write(JSON.stringify(all))
