/**
 * Allocates a block of 16 MiB once and drops it, so that glibc keeps its heap.
 *
 * glibc gives the top of its heap back to the system as soon as 128 KiB are free there, and takes it again page by
 * page. That is a fifth of the cost of receiving in bulk: 170,000 page faults a GiB, and 500 with the block. Once a
 * block with a mapping of its own has been freed, glibc keeps up to twice the size of the largest such block. This
 * block is never touched, so it takes addresses but no memory. The price: a process that reads in bulk keeps up to 32
 * MiB of freed memory.
 *
 * It needs no internals of Node: with another allocator it is one allocation that is dropped.
 */
import * as Context from "effect/Context"

/**
 * Whether the block is allocated, with the first large read. By default it is. Read when the layer of a transport is
 * built.
 *
 * @category options
 * @since 0.1.0
 */
export const HeapBlock: Context.Reference<boolean> = Context.Reference("effect-multiserver/sockets/HeapBlock", {
  defaultValue: () => true
})

/** A reader that gets this much at a time reads in bulk. */
const bulkBytes = 32 * 1024
const blockBytes = 16 * 1024 * 1024

const made = { once: false }

/**
 * Makes the block with the first large buffer and drops it at once, so that the next collection of young objects frees
 * it. A block that is kept for longer would become an old object, which is freed only after megabytes have arrived.
 */
export const keepHeapFor = (bytes: number): void => {
  if (made.once || bytes < bulkBytes) return
  made.once = true
  Buffer.allocUnsafeSlow(blockBytes)
}
