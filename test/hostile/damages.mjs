/**
 * What can be done to a stream after its handshake, from a seat in the middle: nine kinds of damage, and some more that
 * only the peer itself can do. Each is given a peer and how its end is to be reported.
 */
const text = (i) => Buffer.from(`this is packet ${i}`)

const flip = (bytes, at) => {
  bytes[at] ^= 1
  return bytes
}

/** By somebody in the middle: the peer said it well, the network did not deliver it so. */
export const ofTheNetwork = ({ head }) => ({
  "flip in a header": ({ raw, sealer }) => raw.write(flip(sealer.box(text(1)), 5)),
  "flip in a body": ({ raw, sealer }) => raw.write(flip(sealer.box(text(1)), head + 1)),
  "flip in the goodbye": ({ raw, sealer }) => raw.write(flip(sealer.goodbye(), 7)),
  "packets swapped": ({ raw, sealer }) => {
    const first = sealer.box(text(1))
    raw.write(sealer.box(text(2)))
    raw.write(first)
  },
  "a packet dropped": ({ raw, sealer }) => {
    sealer.box(text(1))
    raw.write(sealer.box(text(2)))
    raw.write(sealer.goodbye())
  },
  "a packet repeated": ({ raw, sealer }) => {
    const packet = sealer.box(text(1))
    raw.write(packet)
    raw.write(packet)
    raw.write(sealer.goodbye())
  },
  "cut between packets": ({ raw, sealer }) => {
    raw.write(sealer.box(text(1)))
    raw.end()
  },
  "cut in a header": ({ raw, sealer }) => {
    raw.write(sealer.box(text(1)).subarray(0, head - 4))
    raw.end()
  },
  "cut in a body": ({ raw, sealer }) => {
    raw.write(sealer.box(text(1)).subarray(0, head + 4))
    raw.end()
  }
})

/** By the peer, and what remains. */
export const ofThePeer = ({ head, maxBody, maxClaim }) => ({
  "cut between header and body": ({ raw, sealer }) => {
    raw.write(sealer.box(text(1)).subarray(0, head))
    raw.end()
  },
  "half a goodbye": ({ raw, sealer }) => {
    raw.write(sealer.goodbye().subarray(0, 9))
    raw.end()
  },
  "reset between packets": ({ raw, sealer }) => {
    raw.write(sealer.box(text(1)))
    setTimeout(() => raw.reset(), 20)
  },
  "half a box, and silence": ({ raw, sealer }) => {
    raw.write(sealer.box(Buffer.alloc(maxBody)).subarray(0, head + 2000))
    setTimeout(() => raw.destroy(), 100)
  },
  "what it was sent": async (peer) => {
    peer.say("reflect")
    const sealed = await peer.raw.take()
    if (sealed !== undefined) peer.raw.write(sealed)
  },
  ...(maxClaim > maxBody && {
    "a box too large": ({ raw, sealer }) => raw.write(sealer.box(Buffer.alloc(maxBody + 1))),
    "the largest header": ({ raw, sealer }) => raw.write(sealer.packet(Buffer.alloc(1), maxClaim).head)
  })
})
