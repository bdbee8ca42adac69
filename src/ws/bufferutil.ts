/**
 * The package `bufferutil`, which masks in native code. It is an optional peer dependency, of `ws` and of this package.
 * With `WS_NO_BUFFER_UTIL` in the environment, `ws` doesn't use it, and neither does this package.
 */
import { createRequire } from "node:module"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"

interface Masking {
  /** Masks or unmasks bytes in place. `key` has four bytes. */
  readonly unmask: (bytes: Uint8Array, key: Uint8Array) => void
}

/** From this many bytes on, a call of native code costs less than masking by words in JavaScript. */
export const nativeFrom = 1024

const isMasking = (found: unknown): found is Masking =>
  Predicate.hasProperty(found, "unmask") && Predicate.isFunction(found.unmask)

/** Where the package has no binary for the processor, it is JavaScript that masks byte by byte: slower than ours. */
const load = (): Masking | undefined => {
  if (process.env.WS_NO_BUFFER_UTIL) return undefined
  const require = createRequire(import.meta.url)
  const [found, fallback]: ReadonlyArray<unknown> = [require("bufferutil"), require("bufferutil/fallback")]
  return isMasking(found) && found !== fallback ? found : undefined
}

/** `undefined` where the package is not installed, or may not be loaded. */
export const native = Result.getOrUndefined(Result.try(load))
