/**
 * Makes garbage on purpose: an eighth of an array slot for each byte that a reader keeps.
 *
 * Buffers lie outside of V8's heap, and few small objects come with them. So the cheap collections of young objects,
 * which would free the buffers, never run. Instead V8 runs full collections again and again because of the buffers'
 * size. With the garbage, a reader that keeps what it reads costs 1.05 times as much in a process with 100 MB of live
 * heap as in an empty one. Without it, the cost is several times as much (docs/performance.md).
 *
 * It needs no internals of Node: where V8 counts differently, it only throws away a few small arrays.
 */
import * as Context from "effect/Context"

/**
 * Whether readers make garbage so that V8 collects buffers cheaply. By default they do. Read when the layer of a
 * transport is built.
 *
 * @category options
 * @since 0.1.0
 */
export const Garbage: Context.Reference<boolean> = Context.Reference("effect-multiserver/sockets/Garbage", {
  defaultValue: () => true
})

const litter: { last: ReadonlyArray<unknown> } = { last: [] }

/** Makes the garbage for a buffer that a reader keeps. */
export const litterFor = (bytes: number): void => {
  litter.last = new Array(bytes >> 3)
}
