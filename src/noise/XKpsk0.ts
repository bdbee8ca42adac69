/** What distinguishes the handshake of `noise` (docs/noise.md): Noise's XK, with the network's key mixed in first. */
import { withPsks, XK } from "../xk/NoiseHandshake.ts"
import type { Profile } from "../xk/NoiseProfile.ts"

export const profile: Profile = {
  name: "noise",
  label: "effect-multiserver/noise/2",
  pattern: withPsks(XK, 0),
  hello: 48,
  challenge: 48
}
