/**
 * Compression as a transform: a pair of `node:zlib` streams, one for each direction, over any connection. `deflate` is
 * one such transform, and `examples/zstd.ts` another. For Node only. docs/deflate.md says what compression leaks.
 *
 * What is written in one tick is one batch. It is compressed and flushed at once, so that nothing waits for a write
 * that may never come. Input is decompressed only as fast as it is pulled. A stream ends with the format's own end, and
 * then the connection below ends. If that ends without the format's end, the stream is `Truncated`. It has a half close
 * if the connection below has one. The zlib streams are made when first used and destroyed with the scope.
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

/**
 * A compression format, as a pair of `node:zlib` streams.
 *
 * @category models
 * @since 0.1.0
 */
export interface Format {
  /** Makes a stream that flushes at each write: `createDeflateRaw({ flush: constants.Z_FULL_FLUSH })`. */
  readonly compress: () => Zlib
  readonly decompress: () => Zlib
  /**
   * The bytes that end each flushed batch, if the format has such bytes. Then a batch is a `ProtocolViolation` when it
   * decompresses to more than 16 MiB, and to more than 100 times its own size. Without them only memory is bounded,
   * because nothing is decompressed before it is pulled.
   */
  readonly flushMark?: Uint8Array
  /**
   * Bytes that mean nothing between two batches, if the format has such bytes. Then a writer whose data compresses very
   * well sends some of them before a batch. For a reader that has `flushMark` too, all batches of a direction together
   * may decompress to 64 MiB plus 100 times their size. More is a `ProtocolViolation`.
   */
  readonly padding?: Uint8Array
}

/**
 * How many bytes are fed at a time. Even at DEFLATE's best ratio, about 1000, they make less than any batch may have.
 */
const sliceBytes = 8 * 1024

const joined = (chunks: Connection.Chunks): Uint8Array => (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))

/**
 * A transform's `inbound` or `outbound`, which are the same. `section` is what it adds to the remote address.
 *
 * @category constructors
 * @since 0.1.0
 */
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
          // Without a half close, a peer that gets our end can't finish its own stream any more. That is no truncation.
          pull: reading(lower, compression, decompressor, () => ended && !lower.halfClose),
          halfClose: lower.halfClose
        }
      })
    )

const writing = (lower: Connection.Connection, { padding }: Format, compressor: Filter) => {
  const ballast = padding === undefined ? undefined : new Ballast(padding)
  /** Compresses the bytes, or ends the stream with `undefined`. All that comes out goes down as one write. */
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
      // A flush of the connection above has to wait for this one too.
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
  /** Once a peer has broken the format, nothing that follows can be understood. */
  const violation = (detail: string) => Effect.suspend(() => Effect.fail(error(new ProtocolViolation({ detail }))))
  const cut = Effect.suspend(
    (): Pull.Pull<never, ConnectionError> => (isOver() ? Cause.done() : Effect.fail(error(new Truncated())))
  )

  /** Feeds the next slice of what has arrived, or finishes the stream when nothing more will arrive. */
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
      // An error after `finish` means that the input ended too early: what had arrived was understood.
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
