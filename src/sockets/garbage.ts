/**
 * Garbage on purpose, an eighth of an array slot for each byte that a reader keeps.
 *
 * Buffers lie outside of V8's heap: so few small objects come with them that the cheap collections of the young, which
 * would free them, never come, and V8 collects everything again and again for the sake of their size. With it a reader
 * that keeps what it reads costs 1.05 times as much in a process with 100 MB of live heap as in an empty one, without
 * it several times (docs/performance.md).
 *
 * It depends on nothing of Node's inside: where V8 counts otherwise it is a few small arrays that are thrown away.
 */
import * as Context from "effect/Context"

/** Whether it is made. Read where the layer of a transport is built. */
export const Garbage: Context.Reference<boolean> = Context.Reference("effect-multiserver/sockets/Garbage", {
  defaultValue: () => true
})

const litter: { last: ReadonlyArray<unknown> } = { last: [] }

/** Goes with each buffer that a reader keeps. */
export const litterFor = (bytes: number): void => {
  litter.last = new Array(bytes >> 3)
}
