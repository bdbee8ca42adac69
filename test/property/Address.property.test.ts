import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Address from "../../src/Address.ts"
import { formatPublicKey, PublicKey } from "../../src/Identity.ts"
import { readAddress, type Section } from "../support/npmAddress.ts"
import { base64 } from "../support/vectors.ts"

// -----------------------------------------------------------------------------
// addresses
// -----------------------------------------------------------------------------

const oneOf = <const A extends string | number>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.schema(Schema.Literals(values))

const either = <A>(...choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(oneOf(choices.map((_, i) => i)), (i) => choices[i] ?? Arbitrary.filter(oneOf([]), () => false))

const byte = oneOf(Array.from({ length: 256 }, (_, i) => i))
/** Made from four drawn bytes: to draw each of the 32, for up to 112 keys in an address, took most of the time. */
const bytes32 = Arbitrary.map(Arbitrary.all([byte, byte, byte, byte]), (seed) =>
  Uint8Array.from(createHash("sha256").update(Uint8Array.from(seed)).digest())
)
const port = either(
  Arbitrary.map(Arbitrary.all([byte, byte]), ([high, low]) => 256 * high + low),
  oneOf([0, 1, 80, 443, 8008, 65535])
)

const textOf = (characters: ReadonlyArray<string>, minLength: number, maxLength: number) =>
  Arbitrary.map(Arbitrary.array(oneOf(characters), { minLength, maxLength }), (all) => all.join(""))

/** What a section's data can have in it, the grammar's own characters first; now and then about as long as can be. */
const data = Arbitrary.map(
  Arbitrary.all([textOf([..."~!:/%?#[]@=.,+-_'\"\\{}09azAZé漢😀"], 1, 60), oneOf([1, 1, 1, 1, 1, 1, 1, 25])]),
  ([text, times]) => text.repeat(times)
)
const name = textOf([..."abcxyz0189-_."], 1, 30)
const ip = oneOf(["::", "::1", "fe80::1%eth0", "::ffff:127.0.0.1", "2001:db8::8:800:200c:417a", "127.0.0.1", "0.0.0.0"])
const host = either<string>(name, ip, oneOf(["bücher.example", "例え.jp", "H.Example.", "localhost"]))
const urlHost = either<string>(name, ip)
const path = Arbitrary.map(textOf([..."/~!:%?&=[]@.,+-_09azAZé漢😀"], 0, 60), (rest) => `/${rest}`)

const transport: Arbitrary.Arbitrary<Address.Section> = either<Address.Section>(
  Arbitrary.map(Arbitrary.all({ host, port }), (fields) => new Address.Net(fields)),
  Arbitrary.map(Arbitrary.all({ host: urlHost, port, path }), (fields) => new Address.Ws(fields)),
  Arbitrary.map(Arbitrary.all({ host: urlHost, port, path }), (fields) => new Address.Wss(fields)),
  Arbitrary.map(data, (path) => new Address.Unix({ path })),
  Arbitrary.map(data, (name) => new Address.Memory({ name })),
  Arbitrary.map(Arbitrary.all({ name, port }), ({ name, port }) => new Address.Onion({ host: `${name}.onion`, port })),
  Arbitrary.map(data, (text) => new Address.Opaque({ name: "other-2", data: `:${text}` }))
)

const publicKey = Arbitrary.map(bytes32, (bytes) => PublicKey.make(bytes))
const transform: Arbitrary.Arbitrary<Address.Section> = either<Address.Section>(
  Arbitrary.map(publicKey, (publicKey) => new Address.Shs({ publicKey })),
  Arbitrary.map(
    Arbitrary.all([publicKey, bytes32]),
    ([publicKey, seed]) => new Address.Shs({ publicKey, seed: Redacted.make(seed) })
  ),
  oneOf([0]).pipe(Arbitrary.map(() => new Address.Shs({}))),
  Arbitrary.map(publicKey, (publicKey) => new Address.Noise({ publicKey })),
  Arbitrary.map(
    Arbitrary.all([publicKey, bytes32]),
    ([publicKey, token]) =>
      new Address.Noise({ publicKey, token: Redacted.make(token.some((byte) => byte !== 0) ? token : token.fill(1)) })
  ),
  oneOf([0]).pipe(Arbitrary.map(() => new Address.Noise({}))),
  Arbitrary.map(
    Arbitrary.all([publicKey, bytes32]),
    ([publicKey, token]) =>
      new Address.NoisePq({ publicKey, token: Redacted.make(token.some((byte) => byte !== 0) ? token : token.fill(1)) })
  ),
  oneOf([0]).pipe(Arbitrary.map(() => new Address.NoisePq({}))),
  oneOf([0]).pipe(Arbitrary.map(() => new Address.Noauth({}))),
  oneOf(["", ":"]).pipe(Arbitrary.map((data) => new Address.Opaque({ name: "z", data }))),
  Arbitrary.map(data, (text) => new Address.Opaque({ name: "zip", data: `:${text}` }))
)

const address = Arbitrary.map(
  Arbitrary.all([transport, Arbitrary.array(transform, { maxLength: 7 })]),
  ([transport, transforms]) => new Address.Address({ transport, transforms })
)

const addresses = Arbitrary.map(
  Arbitrary.all([address, Arbitrary.array(address, { maxLength: 15 })]),
  ([first, rest]): Address.MultiAddress => [first, ...rest]
)

// -----------------------------------------------------------------------------
// texts
// -----------------------------------------------------------------------------

const key = base64(Uint8Array.from({ length: 32 }, (_, i) => (i * 53 + 251) & 255))

/** Pieces of addresses, and what has no place in one. */
const tokens = [
  ..."~!;:/?#[]%@=.-\\ \0",
  ...[
    "net:",
    "ws://",
    "wss://",
    "unix:/",
    "onion:",
    "memory:",
    "shs:",
    "noise:",
    "noisepq:",
    "noauth",
    "zip:",
    "net",
    "shs",
    "__proto__"
  ],
  ...[
    "h",
    "x.onion",
    "::1",
    "[::1]",
    "%eth0",
    "127.0.0.1",
    "bücher",
    "ｘ",
    "é",
    "e\u0301",
    "😀",
    "\ud83d",
    "\ude00",
    "\u202e"
  ],
  ...["80", "0", "0x50", "1e3", "080", "99999", ":8008", "/p?q=1", "!~", "!!"],
  ...[
    key,
    key.slice(0, -1),
    key.slice(0, 20),
    `@${key}.ed25519`,
    `~shs:${key}`,
    `~shs:${key}:${key}`,
    `~noise:${key}:${key}`,
    ";net:h:1"
  ]
]
const starts = [
  "",
  "net:",
  "net:h:80~",
  `net:h:80~shs:${key}:`,
  `net:h:80~noise:${key}:`,
  "ws://",
  "wss://h",
  "unix:/a",
  "onion:x",
  "net:h:1;",
  "foo:"
]
const pieces = Arbitrary.map(Arbitrary.all([oneOf(starts), textOf(tokens, 0, 8)]), ([start, rest]) => start + rest)

/** The text of an address, and a few changes to it. */
const mutated = Arbitrary.map(
  Arbitrary.all([
    addresses,
    Arbitrary.array(Arbitrary.all([byte, byte, oneOf(tokens), oneOf(["insert", "delete", "replace"])]), {
      maxLength: 3
    })
  ]),
  ([start, changes]) => {
    let text = Address.formatWithSecrets(start)
    for (const [high, low, token, change] of changes) {
      const at = Math.floor(((256 * high + low) / 65536) * (text.length + 1))
      text = text.slice(0, at) + (change === "delete" ? "" : token) + text.slice(change === "insert" ? at : at + 1)
    }
    return text
  }
)

const texts = either(pieces, mutated, Arbitrary.schema(Schema.String))

const parse = (text: string): Address.MultiAddress => Result.getOrThrow(Address.parse(text))

const hasSecret = (addresses: Address.MultiAddress): boolean =>
  addresses.some(({ transforms }) =>
    transforms.some(
      (part) =>
        (part._tag === "shs" && part.seed !== undefined) ||
        ((part._tag === "noise" || part._tag === "noisepq") && part.token !== undefined)
    )
  )

const fits = (text: string): boolean => text.split(";").every((each) => Buffer.byteLength(each) <= 2048)

describe("addresses", () => {
  it.prop(
    "what is written is read as it was",
    [addresses],
    ([addresses]) => {
      const text = Address.formatWithSecrets(addresses)
      const read = Address.parse(text)
      if (!fits(text)) return assert.isTrue(Result.isFailure(read))
      assert.isTrue(Equal.equals(Result.getOrThrow(read), addresses))
      assert.strictEqual(Address.formatWithSecrets(parse(text)), text)
    },
    { arbitrary: { runs: 300, size: 64 } }
  )

  it.prop(
    "the codec does the same, and refuses seeds",
    [addresses],
    ([addresses]) => {
      const encoded = Schema.encodeResult(Address.MultiAddressFromString)(addresses)
      if (hasSecret(addresses) || !fits(Address.format(addresses))) {
        return assert.isTrue(Result.isFailure(encoded))
      }
      const read = Schema.decodeSync(Address.MultiAddressFromString)(Result.getOrThrow(encoded))
      assert.isTrue(Equal.equals(read, addresses))
    },
    { arbitrary: { runs: 300, size: 64 } }
  )

  it.prop(
    "a text is an address with one way to write it, or an error that points into it",
    [texts],
    ([text]) => {
      const read = Address.parse(text)
      if (Result.isFailure(read)) {
        assert.instanceOf(read.failure, Address.AddressError)
        assert.isAtLeast(read.failure.reason.offset, 0)
        assert.isAtMost(read.failure.reason.offset, text.length)
        return
      }
      const written = Address.formatWithSecrets(read.success)
      assert.isTrue(fits(written))
      assert.isTrue(Equal.equals(parse(written), read.success))
      assert.strictEqual(Address.formatWithSecrets(parse(written)), written)
      assert.isTrue(Schema.is(Address.MultiAddress)(read.success))
    },
    { arbitrary: { runs: 1500, size: 64 } }
  )

  it.prop(
    "what is read is what the constructors accept",
    [texts],
    ([text]) => {
      for (const { transforms, transport } of Result.getOrElse(Address.parse(text), () => [])) {
        const again = new Address.Address({ transport: rebuilt(transport), transforms: transforms.map(rebuilt) })
        assert.isTrue(Equal.equals(again, new Address.Address({ transport, transforms })))
      }
    },
    { arbitrary: { runs: 1000, size: 64 } }
  )

  it.prop(
    "what ours reads, multiserver 3.8.2 reads alike",
    [texts],
    ([text]) => {
      const read = Result.getOrElse(Address.parse(text), (): ReadonlyArray<Address.Address> => [])
      read.forEach(({ transforms, transport }, i) => {
        const theirs = readAddress(text.split(";")[i] ?? "")
        const ours = [transport, ...transforms]
        assert.strictEqual(theirs.length, ours.length)
        ours.forEach((section, j) => {
          // It takes an escape of a path for what is written.
          if (section._tag === "unix" && /%[0-9A-F]{2}/i.test(`${theirs[j]?.path}`)) return
          const fields = known(section)
          if (fields !== undefined) assert.deepStrictEqual(theirs[j], fields)
        })
      })
    },
    { arbitrary: { runs: 1500, size: 64 } }
  )
})

/** The same section through its constructor, which checks all of it. */
const rebuilt = (section: Address.Section): Address.Section => {
  switch (section._tag) {
    case "net":
      return new Address.Net(section)
    case "ws":
      return new Address.Ws(section)
    case "wss":
      return new Address.Wss(section)
    case "unix":
      return new Address.Unix(section)
    case "onion":
      return new Address.Onion(section)
    case "memory":
      return new Address.Memory(section)
    case "port":
      return new Address.MessagePort(section)
    case "shs":
      return new Address.Shs(section)
    case "noise":
      return new Address.Noise(section)
    case "noisepq":
      return new Address.NoisePq(section)
    case "noauth":
      return new Address.Noauth({})
    case "opaque":
      return new Address.Opaque(section)
  }
}

/** The fields that 3.8.2 has for a section too; `undefined` where ours reads on purpose what it doesn't. */
const known = (section: Address.Section): Section | undefined => {
  switch (section._tag) {
    case "net":
      // Brackets around it are read by ours alone.
      return section.host.includes(":") ? undefined : { name: "net", host: section.host, port: section.port }
    case "onion":
      return { name: "onion", host: section.host, port: section.port }
    case "ws":
    case "wss":
      if (section.host.includes("%")) return undefined
      return { name: section._tag, host: section.host, port: section.port, path: section.path }
    case "unix":
      return { name: "unix", path: section.path }
    case "shs":
      if (section.publicKey === undefined) return undefined
      return {
        name: "shs",
        key: formatPublicKey(section.publicKey),
        ...(section.seed === undefined ? {} : { seed: base64(Redacted.value(section.seed)) })
      }
    case "memory":
    case "port":
    case "noise":
    case "noisepq":
    case "noauth":
    case "opaque":
      return undefined
  }
}
