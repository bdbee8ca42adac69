/**
 * `deflate`: raw DEFLATE (RFC 1951), a stream in each direction, flushed at each batch. For Node only.
 *
 * Compression leaks what it compresses. Somebody who sees the length of a batch, and can put chosen text next to a
 * secret in it, can find the secret out (CRIME, BREACH). Encryption around it does not help. So it is never on by
 * default, and each batch is compressed alone, unless the layer is given `mayLeak`. docs/deflate.md says when to use
 * it.
 *
 * It authenticates nothing. Bytes that do not decompress are a `ProtocolViolation`. Over shs the peer itself has sent
 * them. Under shs, or without it, anybody on the way may have.
 *
 * A connection takes 40 KiB more than without it while it is idle, and 180 KiB more once it has read and written.
 */
import * as zlib from "node:zlib"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import * as Transform from "../Transform.ts"
import * as Compression from "./Compression.ts"

/**
 * How what is sent is compressed.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Whether a batch may refer back to earlier batches. That makes small messages smaller, but somebody who sees their
   * lengths can learn from each about all before it. By default `false`. A reader needs no option: it reads both.
   */
  readonly mayLeak?: boolean
}

const { Z_FULL_FLUSH, Z_SYNC_FLUSH } = zlib.constants

const format = (mayLeak: boolean): Compression.Format => ({
  // With a window of 4 KiB a writer takes 125 KiB, and with zlib's defaults 266 KiB (docs/deflate.md). A batch gains
  // little from more.
  compress: () =>
    zlib.createDeflateRaw({
      flush: mayLeak ? Z_SYNC_FLUSH : Z_FULL_FLUSH,
      windowBits: 12,
      memLevel: 5,
      chunkSize: 4096
    }),
  // The largest window, because a peer may have written with it.
  decompress: () => zlib.createInflateRaw({ windowBits: 15, chunkSize: 16 * 1024 }),
  flushMark: Uint8Array.of(0x00, 0x00, 0xff, 0xff),
  // An empty stored block. Each flush ends at the border of a byte, where this begins.
  padding: Uint8Array.of(0x00, 0x00, 0x00, 0xff, 0xff)
})

const section = new Address.Opaque({ name: "deflate", data: "" })

/**
 * The transform `deflate`, for addresses such as `net:pub.example:8008~shs:KEY~deflate`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Transform.Transform<"deflate">> => {
  const wrap = Compression.wrap(section, format(options.mayLeak ?? false))
  return Transform.layer("deflate", {
    section: Address.section("deflate", Schema.Literal("")),
    authenticates: false,
    outbound: wrap,
    inbound: wrap
  })
}
