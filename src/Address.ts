/**
 * Addresses: everything that has to be known to reach a peer, as text and as data. This is the only module that knows
 * `~`, `;`, `:` and `!`.
 *
 * ```
 * net:pub.example:8008~shs:KEY;wss://pub.example~shs:KEY     a multi-address: the same peer, in order of preference
 * net:pub.example:8008~shs:KEY                               an address: a transport section, then transform sections
 * net:pub.example:8008                                       a section: a name and its data
 * ```
 *
 * `;` splits first and can't be escaped; then `~`, with `!` before a character that stands for itself; what is inside a
 * section is its protocol's own. Text is written as npm `multiserver` 3.8.2 writes it, and read more strictly where it
 * never writes the odd form.
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import {
  AddressError,
  type AddressReason,
  BadHost,
  BadKey,
  BadPath,
  BadPort,
  BadSeed,
  BadToken,
  MissingSection,
  Syntax,
  TooLong
} from "./AddressError.ts"
import { formatPublicKey, PublicKey, parsePublicKey } from "./Identity.ts"
import { decodeExactly } from "./internal/base64.ts"
import { kindOfHost, toUrlHost } from "./internal/host.ts"
import { trusted } from "./internal/trusted.ts"

export * from "./AddressError.ts"

// -----------------------------------------------------------------------------
// limits
// -----------------------------------------------------------------------------

/** What an address may measure in UTF-8: text from gossip costs linear time and little of it. */
export const maxAddressBytes = 2048
export const maxAddresses = 16
export const maxSections = 8

const encoder = new TextEncoder()
const fits = (address: string): boolean =>
  address.length <= maxAddressBytes / 3 || encoder.encode(address).length <= maxAddressBytes

// -----------------------------------------------------------------------------
// sections
// -----------------------------------------------------------------------------

/** White space, control and format characters (bidirectional ones among them), lone surrogates. */
const forbidden = /[\p{C}\p{Z}]/u

/** Index of the first character that can't be in an address, or -1. */
const findForbidden = (text: string): number => (/^[\x21-\x7e]*$/.test(text) ? -1 : text.search(forbidden))

/** What has to be percent-encoded in the path of a URL, or would end it. */
const notInPath = /["#'<>\\^`{|}]/

/** What can stand in a section: `;` would end the address, and there is no escape for it. */
const isWritable = (text: string): boolean => !text.includes(";") && findForbidden(text) < 0

const textThat = (expected: string, accepts: (text: string) => boolean) =>
  Schema.String.check(Schema.makeFilter((text: string) => accepts(text) || `expected ${expected}`))

const Host = textThat("a host name or a bare IP address, not .onion", (host) => kindOfHost(host) === "clear")
const OnionHost = textThat("a host that ends in .onion", (host) => kindOfHost(host) === "onion")
const UrlHost = textThat(
  "a host name in lower case and ASCII or a bare IP address, not .onion",
  (host) => kindOfHost(host) === "clear" && toUrlHost(host) === host
)
const UrlPath = textThat(
  "a percent-encoded path that begins with /",
  (path) => path.startsWith("/") && !notInPath.test(path) && isWritable(path)
)
const Written = textThat("a character at least, no ; and no white space", (text) => text !== "" && isWritable(text))
const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))

/** `net:HOST:PORT`, TCP. The host is bare, also when it is IPv6; port 0 is for listening only: the system picks. */
export class Net extends Schema.TaggedClass<Net>("effect-multiserver/Net")("net", {
  host: Host,
  port: Port
}) {}

/**
 * `ws://HOST[:PORT][/path?query]`, port 80 when none is written. The host is in lower case and ASCII; `path` begins with `/`
 * and holds the query.
 */
export class Ws extends Schema.TaggedClass<Ws>("effect-multiserver/Ws")("ws", {
  host: UrlHost,
  port: Port,
  path: UrlPath
}) {}

/** As `Ws` over TLS: `wss://HOST[:PORT][/path?query]`, port 443 when none is written. */
export class Wss extends Schema.TaggedClass<Wss>("effect-multiserver/Wss")("wss", {
  host: UrlHost,
  port: Port,
  path: UrlPath
}) {}

/** `unix:PATH`: everything after the first `:`. */
export class Unix extends Schema.TaggedClass<Unix>("effect-multiserver/Unix")("unix", {
  path: Written
}) {}

/** `onion:HOST:PORT`, a Tor onion service. The host ends in `.onion`. */
export class Onion extends Schema.TaggedClass<Onion>("effect-multiserver/Onion")("onion", {
  host: OnionHost,
  port: Port
}) {}

/** `memory:NAME`, a listener in the same process. */
export class Memory extends Schema.TaggedClass<Memory>("effect-multiserver/Memory")("memory", {
  name: Written
}) {}

type Secret = Redacted.Redacted<Uint8Array>

const secretsStay = new SchemaIssue.Forbidden({
  message: "an address with a seed or token is a secret and is not encoded"
})

/** 32 secret bytes in a section: how they are read, and what they must be. */
const secret = (label: "seed" | "token", expected: string, accepts: (bytes: Uint8Array) => boolean) => {
  const parse = (text: string): Secret | undefined => {
    const bytes = decodeExactly(text, 32)
    return bytes === undefined || !accepts(bytes) ? undefined : Redacted.make(bytes, { label })
  }
  const isSecret = (u: unknown): u is Secret => {
    const bytes: unknown = Redacted.isRedacted(u) ? Redacted.value(u) : undefined
    return bytes instanceof Uint8Array && bytes.length === 32 && accepts(bytes)
  }
  const fromString = SchemaTransformation.transformEffect({
    decode: (text: string) =>
      Effect.fromNullishOr(parse(text)).pipe(
        Effect.mapError(() => new SchemaIssue.InvalidValue({ message: `expected ${expected}` }))
      ),
    encode: (_secret: Secret) => Effect.fail(secretsStay)
  })
  /** It can be decoded from text. No schema that it is part of encodes it, and no codec derived from one. */
  const schema = Schema.String.pipe(
    Schema.decodeTo(
      Schema.declare(isSecret, {
        expected: `a redacted ${label} of 32 bytes`,
        toCodecJson: () => Schema.link<Secret>()(Schema.String, fromString)
      }),
      fromString
    )
  )
  return { expected, parse, schema }
}

const Seed = secret("seed", "base64 of a 32-byte seed", () => true)
const Token = secret("token", "base64 of a 32-byte token that is not all zeros", (bytes) =>
  bytes.some((byte) => byte !== 0)
)

/**
 * `shs:KEY[:SEED]`. Without a key it is what a listener is given: the key is filled in when the address is advertised.
 * The seed is a private key: a dial with it speaks as the key pair of that seed.
 */
export class Shs extends Schema.TaggedClass<Shs>("effect-multiserver/Shs")(
  "shs",
  Schema.Struct({ publicKey: Schema.optionalKey(PublicKey), seed: Schema.optionalKey(Seed.schema) }).check(
    Schema.makeFilter(({ publicKey, seed }) => publicKey !== undefined || seed === undefined || "a seed needs a key")
  )
) {}

/**
 * `noise:KEY[:TOKEN]`. Without a key it is what a listener is given, as with shs. The token is shown to the listener with the dialer's own
 * key: who has it may come with it.
 */
export class Noise extends Schema.TaggedClass<Noise>("effect-multiserver/Noise")(
  "noise",
  Schema.Struct({ publicKey: Schema.optionalKey(PublicKey), token: Schema.optionalKey(Token.schema) }).check(
    Schema.makeFilter(({ publicKey, token }) => publicKey !== undefined || token === undefined || "a token needs a key")
  )
) {}

/** `noauth`: no encryption and no authentication. A key in it is read and forgotten. */
export class Noauth extends Schema.TaggedClass<Noauth>("effect-multiserver/Noauth")("noauth", {}) {}

const builtIn: ReadonlySet<string> = new Set(["net", "ws", "wss", "unix", "onion", "memory", "shs", "noise", "noauth"])

const nameExpected = "a protocol's name: lower-case letters, digits and -"
const isName = (name: string): boolean => /^[a-z][a-z0-9-]*$/.test(name)

/** A section that no built-in protocol knows, kept as it was. `data` is what follows the name, with its colon. */
export class Opaque extends Schema.TaggedClass<Opaque>("effect-multiserver/Opaque")("opaque", {
  name: textThat(`${nameExpected}, not of a built-in protocol`, (name) => isName(name) && !builtIn.has(name)),
  data: textThat(
    "nothing or a colon and what follows it, no ; and no white space",
    (data) => data === "" || (data.startsWith(":") && isWritable(data))
  )
}) {}

/** One protocol's part of an address. */
export const Section = Schema.Union([Net, Ws, Wss, Unix, Onion, Memory, Shs, Noise, Noauth, Opaque])
export type Section = typeof Section.Type

/** The protocol's name, as written. */
export const sectionName = (section: Section): string => (section._tag === "opaque" ? section.name : section._tag)

/** What a section can be in an address; of an opaque one it isn't known. */
const isTransform = ({ _tag }: Section): boolean => _tag === "shs" || _tag === "noise" || _tag === "noauth"
const isTransport = (section: Section): boolean => section._tag !== "opaque" && !isTransform(section)

/**
 * For protocols of other authors: their own codec over what follows `NAME:` in the address, as a codec over the section.
 *
 * @example Address.section("zstd", Schema.FiniteFromString) // zstd:3
 */
export const section = <A>(name: string, data: Schema.Codec<A, string>): Schema.Codec<A, Opaque> =>
  Schema.toType(Opaque).pipe(
    Schema.decodeTo(
      data,
      SchemaTransformation.transformEffect({
        decode: (opaque: Opaque) =>
          opaque.name === name
            ? Effect.succeed(opaque.data.slice(1))
            : Effect.fail(new SchemaIssue.InvalidValue({ message: `expected a section ${name}` })),
        encode: (text: string) => Opaque.makeEffect({ name, data: text === "" ? "" : `:${text}` })
      })
    )
  )

// -----------------------------------------------------------------------------
// addresses
// -----------------------------------------------------------------------------

const AddressFields = Schema.Struct({ transport: Section, transforms: Schema.Array(Section) }).check(
  Schema.makeFilter(({ transforms, transport }) => {
    if (isTransform(transport)) return `expected a transport, not ${transport._tag}`
    if (transforms.some(isTransport)) return "expected transforms after the transport, not another transport"
    return transforms.length < maxSections || `expected at most ${maxSections} sections`
  })
)

/** One way to reach a peer. Prints without its seed or token. */
export class Address extends Schema.Class<Address>("effect-multiserver/Address")(AddressFields) {
  /** The names of the sections, joined: `net~shs`. */
  get stack(): string {
    return [this.transport, ...this.transforms].map(sectionName).join("~")
  }
  /** This address with one more transform section. */
  with(transform: Section): Address {
    const fields = { transport: this.transport, transforms: [...this.transforms, transform] }
    // A section was checked when it was made, but not its place.
    const placed = !isTransport(transform) && fields.transforms.length < maxSections
    return placed ? trusted(Address, fields) : new Address(fields)
  }
  override toString(): string {
    return format(this)
  }
  toJSON(): string {
    return format(this)
  }
  [NodeInspectSymbol](): string {
    return format(this)
  }
}

/** Addresses of the same peer, in order of preference. */
export const MultiAddress = Schema.NonEmptyArray(Address).check(Schema.isMaxLength(maxAddresses))
export type MultiAddress = typeof MultiAddress.Type

// -----------------------------------------------------------------------------
// printing
// -----------------------------------------------------------------------------

const formatWebSocket = ({ _tag, host, path, port }: Ws | Wss, defaultPort: number): string => {
  const authority = host.includes(":") ? `[${host}]` : host
  return `${_tag}://${authority}${port === defaultPort ? "" : `:${port}`}${path === "/" ? "" : path}`
}

type SecretText = (secret: Secret) => string

/** `NAME[:KEY[:SECRET]]` */
const formatKeyed = ({ _tag, publicKey }: Shs | Noise, secret: Secret | undefined, secretText: SecretText): string => {
  if (publicKey === undefined) return _tag
  return `${_tag}:${formatPublicKey(publicKey)}${secret === undefined ? "" : `:${secretText(secret)}`}`
}

const formatSection = (self: Section, secretText: SecretText): string => {
  switch (self._tag) {
    case "net":
    case "onion":
      return `${self._tag}:${self.host}:${self.port}`
    case "ws":
      return formatWebSocket(self, 80)
    case "wss":
      return formatWebSocket(self, 443)
    case "unix":
      return `unix:${self.path}`
    case "memory":
      return `memory:${self.name}`
    case "shs":
      return formatKeyed(self, self.seed, secretText)
    case "noise":
      return formatKeyed(self, self.token, secretText)
    case "noauth":
      return "noauth"
    case "opaque":
      return self.name + self.data
  }
}

const escape = (text: string): string => (/[~!]/.test(text) ? text.replace(/[~!]/g, "!$&") : text)

const formatWith =
  (secretText: SecretText) =>
  (self: Address | MultiAddress): string =>
    self instanceof Address
      ? self.transforms.reduce(
          (before, transform) => `${before}~${escape(formatSection(transform, secretText))}`,
          escape(formatSection(self.transport, secretText))
        )
      : self.map(formatWith(secretText)).join(";")

/** The text of an address, with `<redacted>` in the place of a seed or token: for people, logs and errors. */
export const format: (self: Address | MultiAddress) => string = formatWith(() => "<redacted>")

/**
 * The text of an address **with its seed or token**, which is as good as a private key: for the one who is to dial with it, and nobody
 * else.
 */
export const formatWithSecrets: (self: Address | MultiAddress) => string = formatWith((secret) =>
  Base64.encode(Redacted.value(secret))
)

const secretOf = (section: Section): Secret | undefined => {
  if (section._tag === "shs") return section.seed
  return section._tag === "noise" ? section.token : undefined
}

/** Whether the address holds a seed or token. */
export const hasSecret = (self: Address): boolean => self.transforms.some((part) => secretOf(part) !== undefined)

const withoutSecret = (section: Section): Section => {
  if ((section._tag !== "shs" && section._tag !== "noise") || section.publicKey === undefined) return section
  const { publicKey } = section
  return section._tag === "shs" ? new Shs({ publicKey }) : new Noise({ publicKey })
}

/** The same address without its seed or token. */
export const withoutSecrets = (self: Address): Address =>
  hasSecret(self) ? new Address({ transport: self.transport, transforms: self.transforms.map(withoutSecret) }) : self

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

type ReasonClass = new (fields: { readonly offset: number; readonly expected: string }) => AddressReason

/** A fault at an index of the text that was parsed; whoever knows where that text begins turns it into an offset. */
interface Fault {
  readonly Reason: ReasonClass
  readonly index: number
  readonly expected: string
}

type Parsed<A> = Result.Result<A, Fault>

const fault = (Reason: ReasonClass, index: number, expected: string): Result.Result<never, Fault> =>
  Result.fail({ Reason, index, expected })

/** The same fault in a text that this one is part of. */
const faultAt = (index: number, { expected, Reason }: Fault): Result.Result<never, Fault> =>
  fault(Reason, index, expected)

const parsePort = (text: string, start: number): Parsed<number> => {
  const digits = text.slice(start)
  const port = /^(?:0|[1-9]\d{0,4})$/.test(digits) ? Number(digits) : Number.NaN
  return port <= 65535 ? Result.succeed(port) : fault(BadPort, start, "a decimal port, 0 (to listen) to 65535")
}

const parseHost = (host: string, index: number, wanted: "clear" | "onion"): Parsed<string> => {
  const kind = kindOfHost(host)
  if (kind === wanted) return Result.succeed(host)
  if (wanted === "onion") return fault(BadHost, index, "a host that ends in .onion")
  return kind === "onion"
    ? fault(BadHost, index, "no .onion name: those are onion:NAME:PORT")
    : fault(BadHost, index, "a host name or an IP address")
}

const withoutBrackets = (host: string): string =>
  host.startsWith("[") && host.endsWith("]") && host.includes(":") ? host.slice(1, -1) : host

/** `HOST:PORT` at `start`: the last colon splits, so that IPv6 needs no brackets; brackets are read all the same. */
const parseHostPort = (
  text: string,
  start: number,
  kind: "clear" | "onion"
): Parsed<{ readonly host: string; readonly port: number }> => {
  const colon = text.lastIndexOf(":")
  if (colon < start) return fault(BadPort, text.length, "a port, as in HOST:PORT")
  const port = parsePort(text, colon + 1)
  if (Result.isFailure(port)) return Result.fail(port.failure)
  const written = text.slice(start, colon)
  // `net::8008` is localhost, as 3.8.2 has it.
  const host = written === "" ? "localhost" : withoutBrackets(written)
  return Result.map(parseHost(host, start, kind), (host) => ({ host, port: port.success }))
}

/** HOST or [IPv6], then :PORT, then the path, query and fragment. */
const authorityAndPath = /^(\[[^[\]]*\]|[^:/?#[\]]*)(?::([^/?#]*))?([/?#].*)?$/s

const parseWebSocket = (
  text: string,
  start: number,
  defaultPort: number
): Parsed<{ readonly host: string; readonly port: number; readonly path: string }> => {
  if (!text.startsWith("//", start)) return fault(Syntax, start - 1, "://HOST[:PORT][/path]")
  const from = start + 2
  const match = authorityAndPath.exec(text.slice(from))
  if (match === null) return fault(BadHost, from, "HOST or HOST:PORT, IPv6 in brackets")
  const [, written = "", portText, rest = ""] = match
  const host = parseHost(toUrlHost(withoutBrackets(written)), from, "clear")
  if (Result.isFailure(host)) return Result.fail(host.failure)
  const port = portText === undefined ? Result.succeed(defaultPort) : parsePort(portText, 0)
  if (Result.isFailure(port)) return faultAt(from + written.length + 1, port.failure)
  const odd = rest.search(notInPath)
  if (odd >= 0) {
    return fault(BadPath, text.length - rest.length + odd, "no fragment, and \" ' < > \\ ^ ` { | } as %xx")
  }
  return Result.succeed({
    host: host.success,
    port: port.success,
    path: rest.startsWith("/") ? rest : `/${rest}`
  })
}

const keyExpected = "base64 of a 32-byte public key"

interface Keyed {
  readonly publicKey?: PublicKey
  readonly secret?: Secret
}

/** `[KEY[:SECRET]]` at `start`. */
const parseKeyed = (
  text: string,
  start: number,
  { expected, parse }: typeof Seed,
  BadSecret: ReasonClass
): Parsed<Keyed> => {
  if (start > text.length) return Result.succeed({})
  const colon = text.indexOf(":", start)
  const publicKey = parsePublicKey(text.slice(start, colon < 0 ? undefined : colon))
  if (publicKey === undefined) return fault(BadKey, start, keyExpected)
  if (colon < 0) return Result.succeed({ publicKey })
  const secret = parse(text.slice(colon + 1))
  return secret === undefined ? fault(BadSecret, colon + 1, expected) : Result.succeed({ publicKey, secret })
}

const parseShs = (text: string, start: number): Parsed<Shs> =>
  Result.map(parseKeyed(text, start, Seed, BadSeed), ({ secret: seed, ...key }) =>
    trusted(Shs, { _tag: "shs", ...key, ...(seed && { seed }) })
  )

const parseNoise = (text: string, start: number): Parsed<Noise> =>
  Result.map(parseKeyed(text, start, Token, BadToken), ({ secret: token, ...key }) =>
    trusted(Noise, { _tag: "noise", ...key, ...(token && { token }) })
  )

const parseNoauth = (text: string, start: number): Parsed<Noauth> =>
  start > text.length || parsePublicKey(text.slice(start)) !== undefined
    ? Result.succeed(trusted(Noauth, { _tag: "noauth" }))
    : fault(BadKey, start, keyExpected)

const parseRest = (text: string, start: number, Reason: ReasonClass, expected: string): Parsed<string> =>
  start < text.length ? Result.succeed(text.slice(start)) : fault(Reason, text.length, expected)

/** `start` is where the data begins: after the colon, or past the end when there is none. */
const parseSection = (text: string): Parsed<Section> => {
  const colon = text.indexOf(":")
  const name = colon < 0 ? text : text.slice(0, colon)
  const start = name.length + 1
  switch (name) {
    case "net":
      return Result.map(parseHostPort(text, start, "clear"), ({ host, port }) =>
        trusted(Net, { _tag: "net", host, port })
      )
    case "onion":
      return Result.map(parseHostPort(text, start, "onion"), ({ host, port }) =>
        trusted(Onion, { _tag: "onion", host, port })
      )
    case "ws":
      return Result.map(parseWebSocket(text, start, 80), ({ host, path, port }) =>
        trusted(Ws, { _tag: "ws", host, port, path })
      )
    case "wss":
      return Result.map(parseWebSocket(text, start, 443), ({ host, path, port }) =>
        trusted(Wss, { _tag: "wss", host, port, path })
      )
    case "unix":
      return Result.map(parseRest(text, start, BadPath, "a path"), (path) => trusted(Unix, { _tag: "unix", path }))
    case "memory":
      return Result.map(parseRest(text, start, Syntax, "a name"), (name) => trusted(Memory, { _tag: "memory", name }))
    case "shs":
      return parseShs(text, start)
    case "noise":
      return parseNoise(text, start)
    case "noauth":
      return parseNoauth(text, start)
    default:
      return isName(name)
        ? Result.succeed(trusted(Opaque, { _tag: "opaque", name, data: text.slice(name.length) }))
        : fault(Syntax, 0, nameExpected)
  }
}

const indexOrEnd = (text: string, character: string, from: number): number => {
  const index = text.indexOf(character, from)
  return index < 0 ? text.length : index
}

/** Index of the next `~` that no `!` escapes; at or past the end when there is none. */
const endOfSection = (raw: string, from: number): number => {
  let i = from
  while (i < raw.length && raw[i] !== "~") i += raw[i] === "!" ? 2 : 1
  return i
}

/** `!` makes the next character stand for itself; at the end it stands for itself. */
const unescape = (raw: string): string => (raw.includes("!") ? raw.replace(/!(.)/g, "$1") : raw)

/** Where in `raw` the character is that has this index when it is unescaped. */
const escapedIndex = (raw: string, index: number): number => {
  let at = 0
  for (let seen = 0; seen < index; seen++) at += raw[at] === "!" && at + 1 < raw.length ? 2 : 1
  return at
}

const misplaced = (section: Section, index: number, from: number): Result.Result<never, Fault> | undefined => {
  if (index === 0 && isTransform(section)) {
    return fault(MissingSection, from, `a transport such as net:HOST:PORT before ${section._tag}`)
  }
  if (index > 0 && isTransport(section)) {
    return fault(MissingSection, from, `a transform such as shs:KEY, not the transport ${section._tag}`)
  }
  return undefined
}

/** One address. */
const parseOne = (raw: string): Parsed<Address> => {
  const tooLong = () => fault(TooLong, 0, `at most ${maxAddressBytes} bytes an address`)
  if (!fits(raw)) return tooLong()
  const sections: Array<Section> = []
  const escaped = raw.includes("!")
  for (let from = 0; from <= raw.length; ) {
    if (sections.length === maxSections) return fault(TooLong, from, `at most ${maxSections} sections an address`)
    const end = escaped ? endOfSection(raw, from) : indexOrEnd(raw, "~", from)
    if (end === from) return fault(Syntax, from, "a section")
    const rawSection = raw.slice(from, end)
    const parsed = parseSection(unescape(rawSection))
    if (Result.isFailure(parsed)) {
      return faultAt(from + escapedIndex(rawSection, parsed.failure.index), parsed.failure)
    }
    const wrong = misplaced(parsed.success, sections.length, from)
    if (wrong !== undefined) return wrong
    sections.push(parsed.success)
    from = end + 1
  }
  const [transport, ...transforms] = sections
  if (transport === undefined) return fault(Syntax, 0, "an address")
  const address = trusted(Address, { transport, transforms })
  // As it is written it may be a little longer than it was: what was read has to be readable again.
  return raw.length > maxAddressBytes / 4 && !fits(formatWithSecrets(address)) ? tooLong() : Result.succeed(address)
}

const parseAll = (text: string): Parsed<MultiAddress> => {
  if (text.length > maxAddresses * (maxAddressBytes + 1)) {
    return fault(TooLong, 0, `at most ${maxAddresses} addresses of ${maxAddressBytes} bytes`)
  }
  const bad = findForbidden(text)
  if (bad >= 0) return fault(Syntax, bad, "no white space and no control character")
  const addresses: Array<Address> = []
  for (let from = 0; from <= text.length; ) {
    if (addresses.length === maxAddresses) return fault(TooLong, from, `at most ${maxAddresses} addresses`)
    const end = indexOrEnd(text, ";", from)
    const parsed = parseOne(text.slice(from, end))
    if (Result.isFailure(parsed)) return faultAt(from + parsed.failure.index, parsed.failure)
    addresses.push(parsed.success)
    from = end + 1
  }
  const [first, ...rest] = addresses
  return first === undefined ? fault(Syntax, 0, "an address") : Result.succeed([first, ...rest])
}

/** Reads a multi-address. Never throws, whatever the text; linear in its length. */
export const parse = (text: string): Result.Result<MultiAddress, AddressError> =>
  Result.mapError(
    parseAll(text),
    ({ expected, index, Reason }) => new AddressError({ reason: new Reason({ offset: index, expected }) })
  )

/**
 * Text from and to a multi-address. Encoding fails when an address has a seed or token, so that no log, RPC or file can hold one by
 * accident: `formatWithSecrets` is the way to say that it should.
 */
export const MultiAddressFromString: Schema.Codec<MultiAddress, string> = Schema.String.pipe(
  Schema.decodeTo(
    Schema.toType(MultiAddress),
    SchemaTransformation.transformEffect({
      decode: (text: string) =>
        Effect.fromResult(parse(text)).pipe(
          Effect.mapError((error) => new SchemaIssue.InvalidValue({ message: error.message }))
        ),
      encode: (addresses: MultiAddress) => {
        if (addresses.some(hasSecret)) return Effect.fail(secretsStay)
        return addresses.every((each) => fits(format(each)))
          ? Effect.succeed(format(addresses))
          : Effect.fail(new SchemaIssue.InvalidValue({ message: `an address is longer than ${maxAddressBytes} bytes` }))
      }
    })
  )
)
