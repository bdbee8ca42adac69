/**
 * Servers that attack who dials them, each kind on a port of its own; the first line on stdout says which. `flip` and `cut` do it at
 * another place for each connection, in order.
 */
import net from "node:net"
import { ofTheNetwork, ofThePeer } from "../damages.mjs"
import { answer, identity, protocolOf, Raw, random, run, sleep } from "../wire.mjs"

run(async ({ appKey, kinds, say, stack, step, stopped }) => {
  const protocol = protocolOf(stack)
  const { faultyServers, lengths, server } = protocol
  const keys = { appKey: Buffer.from(appKey, "base64"), identity: identity() }
  const wrong = { ...keys, appKey: random(32) }

  /** The server's messages, each through `send`, which is told where in all of them it begins. */
  const handshake = async (raw, send) => {
    const steps = server(keys)
    steps.next()
    if (!(await send(steps.next(await raw.read(lengths.client[0])).value, 0))) return
    await send(steps.next(await raw.read(lengths.client[1])).value.last, lengths.server[0])
  }
  const cut = (how) => async (raw, i) => {
    const at = i * step
    let passed = 0
    await handshake(raw, async (message, from) => {
      passed = from + message.length
      const part = message.subarray(0, Math.max(0, at - from))
      if (part.length > 0) raw.write(part)
      if (at > passed) return true
      // What was sent is to arrive before a RST overtakes it.
      if (how === "reset") await sleep(2)
      raw[how]()
      return false
    })
  }
  const after = (damage) => async (raw) => {
    const peer = await answer(raw, stack, keys)
    await peer.hear(4)
    await damage(peer)
  }

  const behaviours = {
    honest: async (raw) => {
      const peer = await answer(raw, stack, keys)
      peer.say(await peer.hear(4))
      raw.write(peer.sealer.goodbye())
    },
    silent: () => {},
    drip: async (raw) => {
      await handshake(raw, async (message) => {
        for (const byte of message) {
          raw.write(Buffer.from([byte]))
          await Promise.race([sleep(400), raw.closed])
          if (raw.over !== undefined) return false
        }
        return true
      })
    },
    "closes at once": (raw) => raw.end(),
    "resets at once": (raw) => raw.reset(),
    garbage: (raw) => raw.write(random(100_000)),
    "of another network": (raw) => answer(raw, stack, wrong),
    reflects: async (raw) => {
      for (let chunk = await raw.take(); chunk !== undefined; chunk = await raw.take()) raw.write(chunk)
    },
    flip: (raw, i) =>
      handshake(raw, async (message, from) => {
        const bit = i * step - from * 8
        const out = Buffer.from(message)
        if (bit >= 0 && bit < out.length * 8) out[bit >> 3] ^= 1 << (bit & 7)
        raw.write(out)
        return true
      }),
    "cut by FIN": cut("end"),
    "cut by RST": cut("reset"),
    ...Object.fromEntries(
      faultyServers.map(([name, faulty]) => [`faulty: ${name}`, (raw) => answer(raw, stack, keys, faulty)])
    ),
    ...Object.fromEntries(
      Object.entries({ ...ofTheNetwork(protocol), ...ofThePeer(protocol) }).map(([name, damage]) => [
        name,
        after(damage)
      ])
    ),
    "what it was sent": async (raw) => {
      await answer(raw, stack, keys)
      raw.write(await raw.take())
    }
  }

  const servers = await Promise.all(
    Object.entries(behaviours)
      .filter(([name]) => kinds === undefined || kinds.includes(name))
      .map(
        ([kind, behave]) =>
          new Promise((resolve) => {
            let connections = 0
            const listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
              const raw = new Raw(socket)
              raw.closed.then(() => socket.end())
              Promise.resolve(behave(raw, connections++)).catch(() => raw.destroy())
            })
            listener.listen(0, "127.0.0.1", () => resolve({ kind, port: listener.address().port }))
          })
      )
  )
  say({ servers, publicKey: keys.identity.publicKey.toString("base64"), bytes: lengths.server })
  await stopped
})
