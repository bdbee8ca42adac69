/** What distinguishes the handshake of `noise` (docs/noise.md): Noise's XK, with the network's key mixed in first. */
import { NoiseHandshake, type Pattern } from "../xk/NoiseHandshake.ts"
import type { Profile } from "../xk/NoiseProfile.ts"

/** The initiator knows the responder's key beforehand, and sends its own encrypted. */
const pattern: Pattern = {
  name: "XKpsk0",
  known: ["responder"],
  messages: [
    ["psk", "e", "es"],
    ["e", "ee"],
    ["s", "se"]
  ]
}

export const profile: Profile = {
  name: "noise",
  label: "effect-multiserver/noise/2",
  pattern,
  handshake: (options) => new NoiseHandshake(options),
  hello: 48,
  challenge: 48
}
