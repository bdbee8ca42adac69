/**
 * Makes test/vectors/noisepq-profile.json without any of this package's code, and without the libraries that it stands
 * on: the handshakes with `xkhfs.ts`, the rest with node:crypto. Deterministic: `node test/noisepq/make-vectors.mjs`
 * writes the same file again. It needs Node 22.18 or later.
 */
import fs from "node:fs"
import { hex, pattern, profileOf } from "../xk/making.mjs"
import { prologueOf, protocolName, pskOf, xkhfs } from "./xkhfs.ts"

const random = { seed: pattern(64, 37, 6), coins: pattern(32, 41, 8) }

fs.writeFileSync(
  new URL("../vectors/noisepq-profile.json", import.meta.url),
  `${JSON.stringify(
    {
      source: "test/noisepq/make-vectors.mjs: xkhfs.ts for the handshakes, node:crypto for the rest",
      protocol: protocolName,
      kem: { seed: hex(random.seed), coins: hex(random.coins) },
      ...profileOf({ name: "noisepq", pskOf, prologueOf, side: xkhfs, random })
    },
    null,
    1
  )}\n`
)
