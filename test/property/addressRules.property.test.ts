/** The scanners that read addresses, beside the regular expressions and the parsers whose answers they have to give. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Address from "../../src/Address.ts"
import { kindOfHost } from "../../src/address/host.ts"
import { isIpv6 } from "../../src/address/ipv6.ts"
import { decodeExactly } from "../../src/crypto/base64.ts"
import { parsePublicKey } from "../../src/Identity.ts"

const oneOf = <const A extends string | number>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.schema(Schema.Literals(values))

const either = <A>(...choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(oneOf(choices.map((_, i) => i)), (i) => choices[i] ?? Arbitrary.filter(oneOf([]), () => false))

const textOf = (pieces: ReadonlyArray<string>, maxLength: number, between: ReadonlyArray<string> = [""]) =>
  Arbitrary.map(Arbitrary.all([Arbitrary.array(oneOf(pieces), { maxLength }), oneOf(between)]), ([all, separator]) =>
    all.join(separator)
  )

// -----------------------------------------------------------------------------
// IPv6
// -----------------------------------------------------------------------------

/** Groups, and what looks like one: too long, no digit, empty, two of them, IPv4 in and out of its form. */
const groups = ["0", "1", "ff", "DB8", "FFFF", "00000", "g", "", ":", "::", "1:2", "6:7:8", "1.2.3.4", "0.0.0.0"]
const ipv4s = [
  "255.255.255.255",
  "256.1.1.1",
  "01.2.3.4",
  "1.2.3",
  "1.2.3.",
  ".1.2.3",
  "1.2.3.4.5",
  "1..2.3",
  "1.2.3.4::"
]
const ipv6 = either(
  textOf([...groups, ...ipv4s], 9, [":"]),
  textOf(groups.slice(0, 5), 9, [":"]),
  Arbitrary.map(
    Arbitrary.all([textOf(groups.slice(0, 5), 7, [":"]), textOf([...groups.slice(0, 5), ...ipv4s], 7, [":"])]),
    ([head, tail]) => `${head}::${tail}`
  ),
  textOf([..."0123456789abcdefABCDEF::::...."], 24)
)
const withOthers = either(ipv6, textOf([..."01afAFgG`@/:::..-_ \t\n\0[]%éÀ١：．"], 12))

describe("an IPv6 address", () => {
  it.prop(
    "is what URL, Node and NetAddress say it is",
    [Arbitrary.array(ipv6, { minLength: 20, maxLength: 20 })],
    ([texts]) => {
      for (const text of texts) {
        const expected = net.isIPv6(text)
        assert.strictEqual(isIpv6(text), expected, text)
        assert.strictEqual(URL.canParse(`ws://[${text}]`), expected, text)
        assert.strictEqual(Result.isSuccess(NetAddress.ipv6FromString(text)), expected, text)
      }
    },
    { arbitrary: { runs: 400, size: 64 } }
  )

  it.prop(
    "has no other characters, and is followed by nothing but its zone",
    [Arbitrary.array(Arbitrary.all([withOthers, textOf([..."azAZ09._-%/é :"], 3)]), { minLength: 20, maxLength: 20 })],
    ([all]) => {
      for (const [text, zone] of all) {
        assert.strictEqual(isIpv6(text), !text.includes("%") && net.isIPv6(text), text)
        const expected = !text.includes("%") && net.isIPv6(text) && /^[A-Za-z0-9._-]+$/.test(zone)
        assert.strictEqual(kindOfHost(`${text}%${zone}`) === "clear", expected, `${text}%${zone}`)
      }
    },
    { arbitrary: { runs: 300, size: 64 } }
  )
})

// -----------------------------------------------------------------------------
// ports
// -----------------------------------------------------------------------------

const number = Arbitrary.map(
  Arbitrary.all([oneOf([0, 1, 6, 7, 65]), textOf([..."0123456789"], 4)]),
  ([high, low]) => `${high}${low}`
)
const port = either(
  number,
  textOf([..."0123456789"], 7),
  textOf([..."0123456789:+-.exX /@٣４"], 6),
  oneOf(["", "0", "00", "080", "65535", "65536", "99999", "100000", "0x50", "1e3"])
)

describe("a port", () => {
  it.prop(
    "is a decimal number up to 65535, without zeros before it, in each transport that has one",
    [Arbitrary.array(port, { minLength: 20, maxLength: 20 })],
    ([ports]) => {
      for (const text of ports) {
        const expected = /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535
        for (const start of ["net:h:", "onion:x.onion:", "ws://h:"]) {
          // In ws, a slash would end the port.
          if (start === "ws://h:" && text.includes("/")) continue
          const read = Address.parse(start + text)
          assert.strictEqual(Result.isSuccess(read), expected, start + text)
          const transport = Result.isSuccess(read) ? read.success[0].transport : undefined
          if (transport !== undefined && "port" in transport) assert.strictEqual(transport.port, Number(text))
        }
      }
    },
    { arbitrary: { runs: 200, size: 64 } }
  )
})

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

const byte = oneOf(Array.from({ length: 256 }, (_, i) => i))
const bytes = Arbitrary.map(Arbitrary.array(byte, { minLength: 28, maxLength: 36 }), (all) => Buffer.from(all))
const alien = [..."=~!@*é\u0100\u0141\ud83d-_+/", ""]
const key = Arbitrary.map(
  Arbitrary.all([
    bytes,
    oneOf(["base64", "base64url"]),
    byte,
    oneOf(["as it is", "as it is", "changed"]),
    oneOf(alien)
  ]),
  ([bytes, alphabet, at, change, character]) => {
    const text = bytes.toString(alphabet)
    const index = at % (text.length + 1)
    return change === "changed" ? text.slice(0, index) + character + text.slice(index + 1) : text
  }
)

/** By a whole decoder: it ignores what is not base64, so what it has read must be written as the text was. */
const decoded = (text: string): Uint8Array | undefined => {
  const bytes = Buffer.from(text, "base64")
  const standard = text.replaceAll("-", "+").replaceAll("_", "/")
  const isWritten = [bytes.toString("base64"), bytes.toString("base64").replaceAll("=", "")].includes(standard)
  return bytes.length === 32 && isWritten ? Uint8Array.from(bytes) : undefined
}

describe("a key", () => {
  it.prop(
    "is read where it stands as a whole decoder reads it alone",
    [key, textOf([..."A=:~é"], 5), textOf([..."A=:~é"], 5)],
    ([key, before, after]) => {
      const expected = decoded(key)
      const text = before + key + after
      assert.deepStrictEqual(decodeExactly(text, 32, before.length, before.length + key.length), expected)
      assert.deepStrictEqual(decodeExactly(key, 32), expected)
      const alone = parsePublicKey(key)
      const [address] = Result.getOrElse(Address.parse(`net:h:1~noise~shs:${key}~zip:A=`), () => [undefined])
      const section = address?.transforms[1]
      // What ends a key in an address would be another section here.
      if (!/[~!:]/.test(key)) assert.deepStrictEqual(section && "publicKey" in section && section.publicKey, alone)
    },
    { arbitrary: { runs: 2000, size: 64 } }
  )
})

// -----------------------------------------------------------------------------
// sections
// -----------------------------------------------------------------------------

const names = ["net", "ws", "wss", "unix", "onion", "memory", "shs", "noise", "noisepq", "noauth", "zip"]
const data = textOf(["h", ":80", ":", "//", "//h", "/", "@", "//u@h", "//h/a@b", "x.onion:1", "[::1]", "::1:1"], 3)
const section = Arbitrary.map(Arbitrary.all([oneOf(names), oneOf(["", ":", ":"]), data]), ([name, colon, data]) =>
  colon === "" ? name : `${name}:${data}`
)
const errorOf = (text: string): Address.AddressReason | undefined => {
  const read = Address.parse(text)
  return Result.isFailure(read) ? read.failure.reason : undefined
}

describe("a section", () => {
  it.prop(
    "is read as if nothing came after it",
    [section, either(section, data)],
    ([first, second]) => {
      const alone = errorOf(first)
      const both = errorOf(`${first}~${second}`)
      // The first fault is what is told. After an opaque section the same goes for the second.
      if (alone !== undefined) assert.deepStrictEqual(both, alone)
      const inMiddle = errorOf(`zip~${first}~${second}`)
      const last = errorOf(`zip~${first}`)
      if (last !== undefined) assert.deepStrictEqual(inMiddle, last)
    },
    { arbitrary: { runs: 2000, size: 64 } }
  )

  it.prop(
    "of ws has credentials when there is an @ before its path",
    [section],
    ([text]) => {
      if (!/^wss?:\/\//.test(text)) return
      const [authority = ""] = text.slice(text.indexOf("//") + 2).split(/[/?#]/, 1)
      assert.strictEqual(errorOf(text)?.expected.includes("credentials") === true, authority.includes("@"))
    },
    { arbitrary: { runs: 2000, size: 64 } }
  )

  it.prop(
    "is read with escapes in it as without, and its fault is where it stands",
    [section, Arbitrary.array(byte, { minLength: 0, maxLength: 5 })],
    ([text, places]) => {
      let written = text
      for (const place of new Set(places.map((each) => each % text.length).sort((a, b) => b - a))) {
        written = `${written.slice(0, place)}!${written.slice(place)}`
      }
      const [plain, escaped] = [errorOf(text), errorOf(written)]
      assert.strictEqual(escaped?._tag, plain?._tag)
      assert.strictEqual(escaped?.expected, plain?.expected)
      if (escaped === undefined || plain === undefined) return
      const before = written.slice(0, escaped.offset).replace(/!(.)/g, "$1")
      assert.strictEqual(before, text.slice(0, plain.offset))
    },
    { arbitrary: { runs: 1000, size: 64 } }
  )
})
