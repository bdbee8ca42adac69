/** Patterns of the framework, as its vectors have them, and its modifier for pre-shared secrets. */
import type { Pattern, Token } from "../../src/xk/NoiseHandshake.ts"

/** The initiator knows the responder's key beforehand, and sends its own encrypted. */
export const XK: Pattern = {
  name: "XK",
  known: ["responder"],
  messages: [
    ["e", "es"],
    ["e", "ee"],
    ["s", "se"]
  ]
}

/**
 * Adds pre-shared secrets to a pattern, as Noise's modifiers do: `psk0` mixes one in at the beginning of the first
 * message, `pskN` at the end of the Nth.
 */
export const withPsks = (pattern: Pattern, ...at: ReadonlyArray<number>): Pattern => {
  const psk = (position: number): ReadonlyArray<Token> => (at.includes(position) ? ["psk"] : [])
  return {
    ...pattern,
    name: `${pattern.name}${at.map((position) => `psk${position}`).join("+")}`,
    messages: pattern.messages.map((tokens, i) => [...(i === 0 ? psk(0) : []), ...tokens, ...psk(i + 1)])
  }
}
