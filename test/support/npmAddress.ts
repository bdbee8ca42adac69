/** How npm `multiserver` 3.8.2 reads and writes addresses, with its own code. */
import { createRequire } from "node:module"
import * as Schema from "effect/Schema"

const require = createRequire(import.meta.url)

interface Plugin {
  readonly parse: (section: string) => unknown
  readonly stringify: (scope?: string) => string | null | undefined
}
interface Compose extends Plugin {
  readonly parse: (address: string) => ReadonlyArray<unknown> | null
}
type Make<A> = (options: object) => A

const net: Make<Plugin> = require("multiserver/plugins/net")
const ws: Make<Plugin> = require("multiserver/plugins/ws")
const unix: Make<Plugin> = require("multiserver/plugins/unix-socket")
const onion: Make<Plugin> = require("multiserver/plugins/onion")
const shs: Make<Plugin> = require("multiserver/plugins/shs")
const noauth: Make<Plugin> = require("multiserver/plugins/noauth")
const compose: (plugins: ReadonlyArray<Plugin>) => Compose = require("multiserver/compose")
const multiserver: (stacks: ReadonlyArray<ReadonlyArray<Plugin>>) => Plugin = require("multiserver")
const separator: (
  separator: string,
  escape: string
) => { readonly parse: (text: string) => ReadonlyArray<string> } = require("separator-escape")

/** The plugins, to make servers' addresses with. */
export const plugins = { net, ws, unix, onion, shs, noauth, multiserver }

const keys = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) }
const transports = {
  net: net({ port: 1 }),
  ws: ws({}),
  unix: unix({ path: "/" }),
  onion: onion({})
}
const shsPlugin = shs({ keys, auth: () => {} })

const HostPort = Schema.Struct({ host: Schema.String, port: Schema.Number })
const Path = Schema.Struct({ path: Schema.String })
const Url = Schema.Struct({
  protocol: Schema.String,
  hostname: Schema.NullOr(Schema.String),
  port: Schema.NullOr(Schema.String),
  path: Schema.NullOr(Schema.String),
  auth: Schema.NullOr(Schema.String),
  hash: Schema.NullOr(Schema.String)
})
const Shs = Schema.Struct({ key: Schema.Uint8Array, seed: Schema.optional(Schema.Uint8Array) })

/** What a section is to whom: the fields of ours. */
export type Section = { readonly [field: string]: string | number }

const readUrl = (parsed: unknown): Section => {
  const { auth, hash, hostname, path, port, protocol } = Schema.decodeUnknownSync(Url)(parsed)
  const name = protocol.slice(0, -1)
  return {
    name,
    host: hostname ?? "",
    port: port === null ? (name === "ws" ? 80 : 443) : Number(port),
    path: path ?? "",
    ...(auth === null ? {} : { auth }),
    ...(hash === null ? {} : { hash })
  }
}

const readShs = (parsed: unknown): Section => {
  const { key, seed } = Schema.decodeUnknownSync(Shs)(parsed)
  return {
    name: "shs",
    key: Buffer.from(key).toString("base64"),
    ...(seed === undefined ? {} : { seed: Buffer.from(seed).toString("base64") })
  }
}

/** The plugins' answers, in fields like ours. */
const readers: ReadonlyArray<(section: string) => Section | undefined> = [
  (section) => {
    const parsed = transports.net.parse(section)
    return parsed === null ? undefined : { name: "net", ...Schema.decodeUnknownSync(HostPort)(parsed) }
  },
  (section) => {
    const parsed = transports.onion.parse(section)
    return parsed === null ? undefined : { name: "onion", ...Schema.decodeUnknownSync(HostPort)(parsed) }
  },
  (section) => {
    const parsed = transports.unix.parse(section)
    return parsed === null ? undefined : { name: "unix", ...Schema.decodeUnknownSync(Path)(parsed) }
  },
  (section) => {
    // It answers nothing else, but Node warns of what is no URL.
    const parsed = /^wss?:/i.test(section) ? transports.ws.parse(section) : null
    return parsed === null ? undefined : readUrl(parsed)
  },
  (section) => {
    const parsed = shsPlugin.parse(section)
    return parsed === null ? undefined : readShs(parsed)
  }
]

/** What the first plugin that understands the section reads in it; `undefined` when none does, or one throws. */
export const readSection = (section: string): Section | undefined => {
  for (const read of readers) {
    try {
      const found = read(section)
      if (found !== undefined) return found
    } catch (error) {
      if (error instanceof TypeError) continue
      throw error
    }
  }
  return undefined
}

/** The sections of an address as the peer splits and unescapes them, each read. */
export const readAddress = (address: string): ReadonlyArray<Section | undefined> =>
  separator("~", "!").parse(address).map(readSection)

/** Whether a stack of the peer's understands the address. */
export const understands = (stack: ReadonlyArray<"net" | "ws" | "onion" | "unix" | "shs">, address: string): boolean =>
  compose(stack.map((name) => (name === "shs" ? shsPlugin : transports[name]))).parse(address) !== null
