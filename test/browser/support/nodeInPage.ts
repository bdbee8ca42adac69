/** What the tests of vectors use of Node, for a page: the vectors' files, a hash, and a little of Buffer. */
import { sha256 } from "@noble/hashes/sha2.js"
import * as Hex from "effect/encoding/Hex"
import * as Result from "effect/Result"
// @ts-expect-error The bundle has it.
import vectors from "vectors"

const files: Readonly<Record<string, string>> = vectors

export const readFileSync = ({ pathname }: URL): string => {
  const text = files[pathname.replace(/^.*\/vectors\//, "")]
  if (text === undefined) throw new Error(`no ${pathname}`)
  return text
}

export const createHash = (_: "sha256") => {
  const hash = sha256.create()
  const made = {
    update: (bytes: Uint8Array) => {
      hash.update(bytes)
      return made
    },
    digest: (form?: "hex") => (form === "hex" ? Hex.encode(hash.digest()) : hash.digest())
  }
  return made
}

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

const compare = (a: Uint8Array, b: Uint8Array): number =>
  a.length === b.length && a.every((byte, i) => byte === b[i]) ? 0 : 1

/** Enough of it for the tests. */
const OfTests = {
  concat,
  compare,
  from: (text: string, form?: "hex") =>
    form === "hex" ? Result.getOrThrow(Hex.decode(text)) : new TextEncoder().encode(text)
}

/** A task of its own. */
const later = (task: () => void): void => {
  const { port1, port2 } = new MessageChannel()
  port1.onmessage = () => {
    port1.close()
    task()
  }
  port2.postMessage(null)
}

export { later as setImmediate, OfTests as Buffer }

/** Named by a module whose constants the tests read. */
export class Socket {}
