/**
 * Compression as a transform: a pair of `node:zlib` streams, one for each direction, over any connection. `deflate` is
 * one, and `examples/zstd.ts` another. For Node only. What compression gives away: docs/deflate.md.
 *
 * What is written in one tick is one batch. It is compressed and flushed at once, so that nothing waits for a write
 * that may never come. Input is decompressed only as fast as somebody pulls. A stream ends with the format's own end,
 * and then the connection below ends; when that ends without the format's end, the stream is `Truncated`. It has a half
 * close if the connection below has one. The zlib streams are made when first used and destroyed with the scope.
 */
import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import { format, type Section } from "../Address.ts"
import type * as Connection from "../Connection.ts"
import { ConnectionError, ProtocolViolation, Truncated } from "../ConnectionError.ts"
import { fromConnection, type Wrap } from "../Transform.ts"
import { Ballast, Cap } from "./cap.ts"
import { Filter, type Zlib } from "./filter.ts"

export type { Zlib } from "./filter.ts"

/** A format, as a pair of streams. */
export interface Format {
  /** Has to flush at each write: `createDeflateRaw({ flush: constants.Z_FULL_FLUSH })`. */
  readonly compress: () => Zlib
  readonly decompress: () => Zlib
  /**
   * The bytes that end each flushed batch, where the format has some. Then a batch that comes to more than 16 MiB and
   * 100 times its own size is a `ProtocolViolation`. Without them only memory is bounded: what nobody pulls is not
   * decompressed.
   */
  readonly flushMark?: Uint8Array
  /**
   * Bytes that mean nothing between two batches, where the format has some. Then all batches of a direction together
   * may come to 64 MiB and 100 times their size, and more is a `ProtocolViolation`; a writer whose data compresses
   * better than that sends some of these before a batch.
   */
  readonly padding?: Uint8Array
}

/** Fed at a time: even the best of ratios makes less than a batch may have of it. */
const sliceBytes = 8 * 1024

const joined = (chunks: Connection.Chunks): Uint8Array => (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))

/** One side of the transform: both are the same. `section` is what it adds to the address of the other end. */
export const wrap =
  (section: Section, compression: Format): Wrap =>
  (link) =>
    fromConnection(link, section, (lower) =>
      Effect.gen(function* () {
        const compressor = yield* Filter.make(compression.compress)
        const decompressor = yield* Filter.make(compression.decompress)
        let ended = false
        const { end, writeAll } = writing(lower, compression, compressor)
        return {
          writeAll,
          end: Effect.suspend(() => {
            ended = true
            return end
          }),
          // Where there is no half close, who is told of the end can't finish its own stream any more: that is no
          // truncation.
          pull: reading(lower, compression, decompressor, () => ended && !lower.halfClose),
          halfClose: lower.halfClose
        }
      })
    )

const writing = (lower: Connection.Connection, { padding }: Format, compressor: Filter) => {
  const ballast = padding === undefined ? undefined : new Ballast(padding)
  /** What comes out until no more does goes down as one write. */
  const through = (bytes: Uint8Array | undefined) =>
    Effect.gen(function* () {
      if (bytes === undefined) compressor.finish()
      else compressor.feed(bytes)
      const out: Array<Uint8Array> = []
      let length = 0
      for (;;) {
        const next = yield* Effect.orDie(compressor.next)
        if (typeof next === "string") break
        out.push(next)
        length += next.length
      }
      const before = ballast?.before(bytes?.length ?? 0, length)
      if (before !== undefined) out.unshift(before)
      if (!isReadonlyArrayNonEmpty(out)) return
      yield* lower.writeAll(out)
      // Who waits for a flush above waits for what is written here.
      yield* lower.flush
    })
  return {
    writeAll: (chunks: Connection.Chunks) => through(joined(chunks)),
    end: Effect.andThen(through(undefined), lower.end)
  }
}

const reading = (
  lower: Connection.Connection,
  { flushMark, padding }: Format,
  decompressor: Filter,
  isOver: () => boolean
): Connection.Connection["pull"] => {
  const cap = flushMark === undefined ? undefined : new Cap(flushMark, padding !== undefined)
  let input: Uint8Array = new Uint8Array(0)
  let finishing = false

  const error = (reason: ProtocolViolation | Truncated) => new ConnectionError({ remote: format(lower.remote), reason })
  /** Nothing of what such a peer says can be understood any more, and nothing more is said to it. */
  const violation = (detail: string) => Effect.suspend(() => Effect.fail(error(new ProtocolViolation({ detail }))))
  const cut = Effect.suspend(
    (): Pull.Pull<never, ConnectionError> => (isOver() ? Cause.done() : Effect.fail(error(new Truncated())))
  )

  /** Feeds the next of what has arrived, or the news that nothing more will. */
  const feed = Effect.suspend(() => {
    if (input.length > 0) return feedSlice
    return lower.pull.pipe(
      Effect.flatMap((chunks) => {
        input = joined(chunks)
        return feedSlice
      }),
      Pull.catchDone(() =>
        Effect.sync(() => {
          finishing = true
          decompressor.finish()
        })
      )
    )
  })
  const feedSlice = Effect.sync(() => {
    const slice = input.subarray(0, sliceBytes)
    input = input.subarray(slice.length)
    cap?.enter(slice)
    decompressor.feed(slice)
  })

  return Effect.gen(function* () {
    for (;;) {
      // When all that has arrived was understood and nothing more will come, what is wrong is that it ended.
      const next = yield* Effect.catch(decompressor.next, () =>
        finishing ? cut : violation("what it sent does not decompress")
      )
      if (typeof next !== "string") {
        const tooMuch = cap?.leave(next)
        if (tooMuch !== undefined) return yield* violation(`${tooMuch} decompress to more than they may`)
        return [next]
      }
      if (decompressor.hasLeftOver) return yield* violation("bytes after the end of its stream")
      if (next === "end") return yield* Cause.done()
      yield* feed
    }
  })
}
