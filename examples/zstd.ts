import * as zlib from "node:zlib"
import { Schema } from "effect"
import * as Compression from "effect-multiserver/deflate/Compression"
import { Address, type Link, Transform } from "effect-multiserver/node"

// `zstd:LEVEL`: compression by Zstandard, with what Node has of it since 22.15. As with deflate, lengths give away what
// is compressed.

const { ZSTD_c_compressionLevel, ZSTD_c_windowLog, ZSTD_d_windowLogMax, ZSTD_e_flush } = zlib.constants
const windowLog = 17 // 128 KiB; a peer that asks this side for a larger window is refused

const format = (level: number): Compression.Format => ({
  compress: () =>
    zlib.createZstdCompress({
      flush: ZSTD_e_flush,
      params: { [ZSTD_c_compressionLevel]: level, [ZSTD_c_windowLog]: windowLog }
    }),
  decompress: () => zlib.createZstdDecompress({ params: { [ZSTD_d_windowLogMax]: windowLog } })
})

const upgrade = (link: Link.Link, level: number) =>
  Compression.wrap(new Address.Opaque({ name: "zstd", data: `:${level}` }), format(level))(link)

/** The transform `zstd`, for addresses such as `net:127.0.0.1:8008~shs:KEY~zstd:3`. */
export const layer = Transform.layer("zstd", {
  section: Address.section(
    "zstd",
    Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 19 }))
  ),
  authenticates: false,
  outbound: upgrade,
  inbound: upgrade
})
