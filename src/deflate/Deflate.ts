/**
 * `deflate`: raw DEFLATE (RFC 1951), a stream in each direction, flushed at each batch. For Node only.
 *
 * Compression gives away what it compresses: whoever sees how long a batch is, and can put text of their own next to a
 * secret in it, finds the secret out (CRIME, BREACH), and no encryption around it helps. It is never on by default, and
 * each batch is compressed alone, unless the layer says `mayLeak`. docs/deflate.md says when to use it.
 *
 * It authenticates nothing. Over shs, what does not decompress was sent by the peer itself, so it is a
 * `ProtocolViolation`; under shs, or bare, it may have been anybody on the way.
 *
 * A connection takes 40 KiB more than without it while it is idle, and 180 KiB once it has read and written.
 */
import * as zlib from "node:zlib"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import * as Transform from "../Transform.ts"
import * as Compression from "./Compression.ts"

/** How what is sent is compressed. */
export interface Options {
  /**
   * Whether what is sent may refer back to earlier batches. It makes small messages smaller, and lets whoever sees
   * their lengths learn from each about all before it. By default not. The other end reads both.
   */
  readonly mayLeak?: boolean
}

const { Z_FULL_FLUSH, Z_SYNC_FLUSH } = zlib.constants

const format = (mayLeak: boolean): Compression.Format => ({
  // A window of 4 KiB: with it a writer takes 125 KiB, and with zlib's defaults 266 (docs/deflate.md). A batch has
  // little need of more.
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
  // A stored block of nothing, from the beginning of a byte, where each flush ends.
  padding: Uint8Array.of(0x00, 0x00, 0x00, 0xff, 0xff)
})

const section = new Address.Opaque({ name: "deflate", data: "" })

/** The transform `deflate`, for addresses such as `net:pub.example:8008~shs:KEY~deflate`. */
export const layer = (options: Options = {}): Layer.Layer<Transform.Transform<"deflate">> => {
  const wrap = Compression.wrap(section, format(options.mayLeak ?? false))
  return Transform.layer("deflate", {
    section: Address.section("deflate", Schema.Literal("")),
    authenticates: false,
    outbound: wrap,
    inbound: wrap
  })
}
