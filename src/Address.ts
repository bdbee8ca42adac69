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
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { formatPublicKey, PublicKey, parsePublicKey } from "./Identity.ts"
import { decodeExactly } from "./internal/base64.ts"

// -----------------------------------------------------------------------------
// limits
// -----------------------------------------------------------------------------

/** What an address may measure: text from gossip costs linear time and little of it. */
export const maxAddressBytes = 2048
export const maxAddresses = 16
export const maxSections = 8

// -----------------------------------------------------------------------------
// sections
// -----------------------------------------------------------------------------

/** White space, control and format characters (bidirectional ones among them), lone surrogates. */
const forbidden = /[\p{C}\p{Z}]/u

/** Index of the first character that can't be in an address, or -1. */
const findForbidden = (text: string): number => (/^[\x21-\x7e]*$/.test(text) ? -1 : text.search(forbidden))

/** What can stand in a section: `;` would end the address, and there is no escape for it. */
const Written = Schema.NonEmptyString.check(
  Schema.makeFilter(
    (text: string) => (!text.includes(";") && findForbidden(text) < 0) || "expected no ; and no white space"
  )
)

/** Names, IPv4, and IPv6 without brackets, with a zone perhaps. */
const hostPattern = /^[\p{L}\p{M}\p{N}._:-]+(%[A-Za-z0-9._-]+)?$/u
const Host = Schema.String.check(Schema.isPattern(hostPattern), Schema.isMaxLength(255))

const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))

/** `net:HOST:PORT`, TCP. The host is bare, also when it is IPv6; port 0 is for listening only: the system picks. */
export class Net extends Schema.TaggedClass<Net>("effect-multiserver/Net")("net", {
  host: Host,
  port: Port
}) {}

const webSocketFields = { host: Host, port: Port, path: Written }

/** `ws://HOST[:PORT][/path?query]`, port 80 when none is written. `path` begins with `/` and holds the query. */
export class Ws extends Schema.TaggedClass<Ws>("effect-multiserver/Ws")("ws", webSocketFields) {}

/** `wss://HOST[:PORT][/path?query]`, port 443 when none is written. */
export class Wss extends Schema.TaggedClass<Wss>("effect-multiserver/Wss")("wss", webSocketFields) {}

/** `unix:PATH`: everything after the first `:`. */
export class Unix extends Schema.TaggedClass<Unix>("effect-multiserver/Unix")("unix", {
  path: Written
}) {}

/** `onion:HOST:PORT`, a Tor onion service. The host ends in `.onion`. */
export class Onion extends Schema.TaggedClass<Onion>("effect-multiserver/Onion")("onion", {
  host: Host,
  port: Port
}) {}

/** `memory:NAME`, a listener in the same process. */
export class Memory extends Schema.TaggedClass<Memory>("effect-multiserver/Memory")("memory", {
  name: Written
}) {}

const Seed = Schema.Redacted(
  Schema.Uint8Array.check(Schema.makeFilter((bytes: Uint8Array) => bytes.length === 32 || "expected 32 bytes")),
  { label: "seed", disallowJsonEncode: true }
)

/**
 * `shs:KEY[:SEED]`. Without a key it is what a listener is given: the key is filled in when the address is advertised.
 * The seed is a private key: a dial with it speaks as the key pair of that seed.
 */
export class Shs extends Schema.TaggedClass<Shs>("effect-multiserver/Shs")("shs", {
  publicKey: Schema.optionalKey(PublicKey),
  seed: Schema.optionalKey(Seed)
}) {}

/** `noauth`: no encryption and no authentication. A key in it is read and forgotten. */
export class Noauth extends Schema.TaggedClass<Noauth>("effect-multiserver/Noauth")("noauth", {}) {}

/** A section that no built-in protocol knows, kept as it was. `data` is what follows the name, with its colon. */
export class Opaque extends Schema.TaggedClass<Opaque>("effect-multiserver/Opaque")("opaque", {
  name: Schema.NonEmptyString,
  data: Schema.String
}) {}

/** One protocol's part of an address. */
export const Section = Schema.Union([Net, Ws, Wss, Unix, Onion, Memory, Shs, Noauth, Opaque])
export type Section = typeof Section.Type

/** The protocol's name, as written. */
export const sectionName = (section: Section): string => (section._tag === "opaque" ? section.name : section._tag)

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
        encode: (text: string) => Effect.succeed(new Opaque({ name, data: text === "" ? "" : `:${text}` }))
      })
    )
  )

// -----------------------------------------------------------------------------
// addresses
// -----------------------------------------------------------------------------

/** One way to reach a peer. Prints without its seed. */
export class Address extends Schema.Class<Address>("effect-multiserver/Address")({
  transport: Section,
  transforms: Schema.Array(Section)
}) {
  /** The names of the sections, joined: `net~shs`. */
  get stack(): string {
    return [this.transport, ...this.transforms].map(sectionName).join("~")
  }
  /** This address with one more transform section. */
  with(transform: Section): Address {
    return new Address({ transport: this.transport, transforms: [...this.transforms, transform] })
  }
  override toString(): string {
    return format(this)
  }
  toJSON(): string {
    return format(this)
  }
  get [Symbol.for("nodejs.util.inspect.custom")](): () => string {
    return () => format(this)
  }
}

/** Addresses of the same peer, in order of preference. */
export const MultiAddress = Schema.NonEmptyArray(Address)
export type MultiAddress = typeof MultiAddress.Type

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

const where = {
  /** Index in the decoded text, in UTF-16 code units. */
  offset: Schema.Int,
  /** What would have been right there. */
  expected: Schema.String
}

/** The text does not follow the grammar. */
export class Syntax extends Schema.TaggedError<Syntax>()("Syntax", where) {}
/** A host that is empty, has characters that no host has, or ends in `.onion` outside an `onion` section. */
export class BadHost extends Schema.TaggedError<BadHost>()("BadHost", where) {}
/** A port that is no decimal number from 0 to 65535. */
export class BadPort extends Schema.TaggedError<BadPort>()("BadPort", where) {}
/** A path that is empty or can't be written in an address. */
export class BadPath extends Schema.TaggedError<BadPath>()("BadPath", where) {}
/** A public key that is no canonical base64 of 32 bytes. */
export class BadKey extends Schema.TaggedError<BadKey>()("BadKey", where) {}
/** A seed that is no canonical base64 of 32 bytes. */
export class BadSeed extends Schema.TaggedError<BadSeed>()("BadSeed", where) {}
/** A transform where a transport is needed, or the other way round. */
export class MissingSection extends Schema.TaggedError<MissingSection>()("MissingSection", where) {}
/** More than the limits allow. */
export class TooLong extends Schema.TaggedError<TooLong>()("TooLong", where) {}

const AddressErrorReason = Schema.Union([Syntax, BadHost, BadPort, BadPath, BadKey, BadSeed, MissingSection, TooLong])

/** Text that is no address. It never holds the text itself, which may hold a seed. */
export class AddressError extends Schema.TaggedError<AddressError>("effect-multiserver/AddressError")("AddressError", {
  reason: AddressErrorReason
}) {
  override get message(): string {
    return `not an address: at character ${this.reason.offset}, expected ${this.reason.expected}`
  }
  /** Never: the same text fails again. */
  get isRetryable(): boolean {
    return false
  }
}

// -----------------------------------------------------------------------------
// printing
// -----------------------------------------------------------------------------

const joinHost = (host: string): string => (host.includes(":") ? `[${host}]` : host)

const formatWebSocket = (name: "ws" | "wss", { host, path, port }: Ws | Wss, defaultPort: number): string =>
  `${name}://${joinHost(host)}${port === defaultPort ? "" : `:${port}`}${path === "/" ? "" : path}`

type SeedText = (seed: Redacted.Redacted<Uint8Array>) => string

const formatSection = (self: Section, seedText: SeedText): string => {
  switch (self._tag) {
    case "net":
    case "onion":
      return `${self._tag}:${self.host}:${self.port}`
    case "ws":
      return formatWebSocket("ws", self, 80)
    case "wss":
      return formatWebSocket("wss", self, 443)
    case "unix":
      return `unix:${self.path}`
    case "memory":
      return `memory:${self.name}`
    case "shs":
      if (self.publicKey === undefined) return "shs"
      return `shs:${formatPublicKey(self.publicKey)}${self.seed === undefined ? "" : `:${seedText(self.seed)}`}`
    case "noauth":
      return "noauth"
    case "opaque":
      return self.name + self.data
  }
}

const escape = (text: string): string => (/[~!]/.test(text) ? text.replace(/[~!]/g, "!$&") : text)

const formatWith =
  (seedText: SeedText) =>
  (self: Address | MultiAddress): string =>
    self instanceof Address
      ? [self.transport, ...self.transforms].map((part) => escape(formatSection(part, seedText))).join("~")
      : self.map(formatWith(seedText)).join(";")

/** The text of an address, with `<redacted>` in the place of a seed: for people, logs and errors. */
export const format: (self: Address | MultiAddress) => string = formatWith(() => "<redacted>")

/**
 * The text of an address **with its seed**, which is a private key: for the one who is to dial with it, and nobody else.
 */
export const formatWithSecrets: (self: Address | MultiAddress) => string = formatWith((seed) =>
  Base64.encode(Redacted.value(seed))
)

const hasSeed = (self: Address): boolean =>
  self.transforms.some((part) => part._tag === "shs" && part.seed !== undefined)

/** The same address without its seed. */
export const withoutSeed = (self: Address): Address =>
  hasSeed(self)
    ? new Address({
        transport: self.transport,
        transforms: self.transforms.map((part) =>
          part._tag === "shs" && part.publicKey !== undefined ? new Shs({ publicKey: part.publicKey }) : part
        )
      })
    : self

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

type Parsed<A> = Result.Result<A, AddressError>

/** The unescaped text of one section, and how its indices map back to the text that the caller gave. */
interface Piece {
  readonly text: string
  readonly offset: (index: number) => number
}

type Reason = typeof AddressErrorReason.Type
type ReasonClass = new (fields: { readonly offset: number; readonly expected: string }) => Reason

const fail = (Reason: ReasonClass, offset: number, expected: string): Result.Result<never, AddressError> =>
  Result.fail(new AddressError({ reason: new Reason({ offset, expected }) }))

/** Constructors run without their checks here: what they would check has just been parsed. */
const trusted = { disableChecks: true }

const parsePort = (piece: Piece, start: number, text: string): Parsed<number> =>
  /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535
    ? Result.succeed(Number(text))
    : fail(BadPort, piece.offset(start), "a decimal port, 0 (to listen) to 65535")

const parseHost = (piece: Piece, start: number, text: string, onion: boolean): Parsed<string> => {
  if (text.length > 255 || !hostPattern.test(text)) {
    return fail(BadHost, piece.offset(start), "a host name or an IP address")
  }
  return /\.onion\.?$/i.test(text) === onion
    ? Result.succeed(text)
    : fail(
        BadHost,
        piece.offset(start),
        onion ? "a host that ends in .onion" : "no .onion name: those are onion:NAME:PORT"
      )
}

/** `HOST:PORT` at `start`: the last colon splits, so that IPv6 needs no brackets; brackets are read all the same. */
const parseHostPort = (
  piece: Piece,
  start: number,
  onion: boolean
): Parsed<{ readonly host: string; readonly port: number }> => {
  const colon = piece.text.lastIndexOf(":")
  if (colon < start) return fail(BadPort, piece.offset(piece.text.length), "a port, as in HOST:PORT")
  const port = parsePort(piece, colon + 1, piece.text.slice(colon + 1))
  if (Result.isFailure(port)) return Result.fail(port.failure)
  const written = piece.text.slice(start, colon)
  const bracketed = /^\[([^[\]]*:[^[\]]*)\]$/.exec(written)
  // `net::8008` is localhost, as 3.8.2 has it.
  const host = parseHost(piece, start, bracketed?.[1] ?? (written === "" && !onion ? "localhost" : written), onion)
  return Result.map(host, (host) => ({ host, port: port.success }))
}

const parseWebSocket = (piece: Piece, start: number, defaultPort: number): Parsed<typeof webSocketParts.Type> => {
  if (!piece.text.startsWith("//", start)) return fail(Syntax, piece.offset(start), "//HOST[:PORT][/path]")
  const from = start + 2
  const end = piece.text.slice(from).search(/[/?#]/)
  const authority = end < 0 ? piece.text.slice(from) : piece.text.slice(from, from + end)
  const rest = end < 0 ? "" : piece.text.slice(from + end)
  const split = /^(\[[^[\]]+\]|[^:[\]]*)(?::(.*))?$/.exec(authority)
  const written = split?.[1]
  if (written === undefined) return fail(BadHost, piece.offset(from), "HOST or HOST:PORT, IPv6 in brackets")
  const host = parseHost(piece, from, written.startsWith("[") ? written.slice(1, -1) : written, false)
  if (Result.isFailure(host)) return Result.fail(host.failure)
  const portText = split?.[2]
  const port =
    portText === undefined
      ? Result.succeed(defaultPort)
      : parsePort(piece, from + authority.length - portText.length, portText)
  if (Result.isFailure(port)) return Result.fail(port.failure)
  const hash = rest.indexOf("#")
  if (hash >= 0)
    return fail(BadPath, piece.offset(from + authority.length + hash), "no #fragment: it never leaves a client")
  const path = rest.startsWith("/") ? rest : `/${rest}`
  return Result.succeed({ host: host.success, port: port.success, path })
}
const webSocketParts = Schema.Struct(webSocketFields)

const keyExpected = "base64 of a 32-byte public key"

const parseShs = (piece: Piece, start: number): Parsed<Shs> => {
  if (start > piece.text.length) return Result.succeed(new Shs({}, trusted))
  const colon = piece.text.indexOf(":", start)
  const publicKey = parsePublicKey(piece.text.slice(start, colon < 0 ? undefined : colon))
  if (publicKey === undefined) return fail(BadKey, piece.offset(start), keyExpected)
  if (colon < 0) return Result.succeed(new Shs({ publicKey }, trusted))
  const seed = decodeExactly(piece.text.slice(colon + 1), 32)
  if (seed === undefined) return fail(BadSeed, piece.offset(colon + 1), "base64 of a 32-byte seed")
  return Result.succeed(new Shs({ publicKey, seed: Redacted.make(seed, { label: "seed" }) }, trusted))
}

const parseNoauth = (piece: Piece, start: number): Parsed<Noauth> =>
  start > piece.text.length || parsePublicKey(piece.text.slice(start)) !== undefined
    ? Result.succeed(new Noauth({}, trusted))
    : fail(BadKey, piece.offset(start), keyExpected)

const parseWritten = (piece: Piece, start: number, Reason: ReasonClass, expected: string): Parsed<string> =>
  start < piece.text.length
    ? Result.succeed(piece.text.slice(start))
    : fail(Reason, piece.offset(piece.text.length), expected)

const nameExpected = "a protocol's name: lower-case letters, digits and -"

/** `start` is where the data begins: after the colon, or past the end when there is none. */
const parseSection = (piece: Piece): Parsed<Section> => {
  const colon = piece.text.indexOf(":")
  const name = colon < 0 ? piece.text : piece.text.slice(0, colon)
  const start = name.length + 1
  switch (name) {
    case "net":
      return Result.map(parseHostPort(piece, start, false), (fields) => new Net(fields, trusted))
    case "onion":
      return Result.map(parseHostPort(piece, start, true), (fields) => new Onion(fields, trusted))
    case "ws":
      return Result.map(parseWebSocket(piece, start, 80), (fields) => new Ws(fields, trusted))
    case "wss":
      return Result.map(parseWebSocket(piece, start, 443), (fields) => new Wss(fields, trusted))
    case "unix":
      return Result.map(parseWritten(piece, start, BadPath, "a path"), (path) => new Unix({ path }, trusted))
    case "memory":
      return Result.map(parseWritten(piece, start, Syntax, "a name"), (name) => new Memory({ name }, trusted))
    case "shs":
      return parseShs(piece, start)
    case "noauth":
      return parseNoauth(piece, start)
    default:
      return /^[a-z][a-z0-9-]*$/.test(name)
        ? Result.succeed(new Opaque({ name, data: piece.text.slice(name.length) }, trusted))
        : fail(Syntax, piece.offset(0), nameExpected)
  }
}

const isTransform = (part: Section): boolean => part._tag === "shs" || part._tag === "noauth"

/** Unescapes: `!` makes the next character stand for itself; at the end it stands for itself. */
const unescape = (raw: string, start: number): Piece => {
  if (!raw.includes("!")) return { text: raw, offset: (index) => start + index }
  const text = raw.replace(/!(.)/gsu, "$1")
  const offset = (index: number): number => {
    let at = 0
    for (let seen = 0; seen < index && at < raw.length; seen++) at += raw[at] === "!" && at + 1 < raw.length ? 2 : 1
    return start + at
  }
  return { text, offset }
}

/** One address, `start` characters into the text. */
const parseOne = (raw: string, start: number): Parsed<Address> => {
  if (raw.length > maxAddressBytes || new TextEncoder().encode(raw).length > maxAddressBytes) {
    return fail(TooLong, start, `at most ${maxAddressBytes} bytes an address`)
  }
  const sections: Array<Section> = []
  let from = 0
  for (let i = 0; i <= raw.length; i++) {
    if (raw[i] === "!") {
      i++
      if (i < raw.length) continue
    }
    if (i < raw.length && raw[i] !== "~") continue
    const end = Math.min(i, raw.length)
    if (sections.length === maxSections)
      return fail(TooLong, start + from, `at most ${maxSections} sections an address`)
    if (end === from) return fail(Syntax, start + from, "a section")
    const parsed = parseSection(unescape(raw.slice(from, end), start + from))
    if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
    const part = parsed.success
    if (sections.length === 0 && isTransform(part)) {
      return fail(MissingSection, start + from, `a transport such as net:HOST:PORT before ${sectionName(part)}`)
    }
    if (sections.length > 0 && part._tag !== "opaque" && !isTransform(part)) {
      return fail(MissingSection, start + from, `a transform such as shs:KEY, not the transport ${sectionName(part)}`)
    }
    sections.push(part)
    from = end + 1
  }
  const [transport, ...transforms] = sections
  return transport === undefined
    ? fail(Syntax, start, "an address")
    : Result.succeed(new Address({ transport, transforms }, trusted))
}

/** Reads a multi-address. Never throws, whatever the text; linear in its length. */
export const parse = (text: string): Result.Result<MultiAddress, AddressError> => {
  if (text.length > maxAddresses * (maxAddressBytes + 1)) {
    return fail(TooLong, 0, `at most ${maxAddresses} addresses of ${maxAddressBytes} bytes`)
  }
  const bad = findForbidden(text)
  if (bad >= 0) return fail(Syntax, bad, "no white space and no control character")
  const addresses: Array<Address> = []
  let from = 0
  while (from <= text.length) {
    const semicolon = text.indexOf(";", from)
    const end = semicolon < 0 ? text.length : semicolon
    if (addresses.length === maxAddresses) return fail(TooLong, from, `at most ${maxAddresses} addresses`)
    const parsed = parseOne(text.slice(from, end), from)
    if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
    addresses.push(parsed.success)
    from = end + 1
  }
  const [first, ...rest] = addresses
  return first === undefined ? fail(Syntax, 0, "an address") : Result.succeed([first, ...rest])
}

/**
 * Text from and to a multi-address. Encoding fails when an address has a seed, so that no log, RPC or file can hold one by
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
      encode: (addresses: MultiAddress) =>
        addresses.some(hasSeed)
          ? Effect.fail(new SchemaIssue.Forbidden({ message: "an address with a seed is a secret and is not encoded" }))
          : Effect.succeed(format(addresses))
    })
  )
)
