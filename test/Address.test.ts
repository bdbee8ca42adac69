import * as util from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import { formatPublicKey, PublicKey } from "../src/Identity.ts"
import { plugins, readAddress, type Section, understands } from "./support/npmAddress.ts"
import { base64 } from "./support/vectors.ts"

// Both alphabets differ in these: base64 has + and / in it.
const keyBytes = Uint8Array.from({ length: 32 }, (_, i) => (i * 53 + 251) & 255)
const key = base64(keyBytes)
const urlSafe = key.replaceAll("+", "-").replaceAll("/", "_")
const seedBytes = Uint8Array.from({ length: 32 }, (_, i) => (i * 29 + 7) & 255)
const seed = base64(seedBytes)
const hexKey = Buffer.from(keyBytes).toString("hex")
/** The same 32 bytes to a lenient decoder: the last digit has spare bits set. */
const looseKey = key.replace(/.=$/, (end) => `${String.fromCharCode(end.charCodeAt(0) + 1)}=`)

const parsed = (text: string): Address.MultiAddress => Result.getOrThrow(Address.parse(text))
const one = (text: string): Address.Address => parsed(text)[0]
const failed = (text: string): Address.AddressError =>
  Result.match(Address.parse(text), {
    onSuccess: () => assert.fail(`read ${JSON.stringify(text.slice(0, 80))}`),
    onFailure: (error) => error
  })

/** A section in the fields of `npmAddress`. */
const fields = (section: Address.Section): Section => {
  switch (section._tag) {
    case "net":
    case "onion":
      return { name: section._tag, host: section.host, port: section.port }
    case "ws":
    case "wss":
      return { name: section._tag, host: section.host, port: section.port, path: section.path }
    case "unix":
      return { name: "unix", path: section.path }
    case "shs":
      return {
        name: "shs",
        ...(section.publicKey === undefined ? {} : { key: formatPublicKey(section.publicKey) }),
        ...(section.seed === undefined ? {} : { seed: base64(Redacted.value(section.seed)) })
      }
    case "noise":
    case "noisepq":
      return {
        name: section._tag,
        ...(section.publicKey === undefined ? {} : { key: formatPublicKey(section.publicKey) }),
        ...(section.token === undefined ? {} : { token: base64(Redacted.value(section.token)) })
      }
    case "memory":
    case "port":
    case "noauth":
    case "opaque":
      return { name: Address.sectionName(section) }
  }
}
const allFields = ({ transforms, transport }: Address.Address) => [transport, ...transforms].map(fields)

// -----------------------------------------------------------------------------
// beside multiserver 3.8.2
// -----------------------------------------------------------------------------

/** Both read the same, and ours writes `written`. */
type Same = readonly [text: string, read: ReadonlyArray<Section>, written?: string]

const net = (host: string, port = 80): Section => ({ name: "net", host, port })
const web = (name: "ws" | "wss", host: string, port: number, path = "/"): Section => ({ name, host, port, path })
const shs: Section = { name: "shs", key }

const same: ReadonlyArray<Same> = [
  ["net:h:80", [net("h")]],
  ["net::80", [net("localhost")], "net:localhost:80"],
  ["net:::1:80", [net("::1")]],
  ["net::::80", [net("::")]],
  ["net:fe80::1%eth0:80", [net("fe80::1%eth0")]],
  ["net:fe80::1%wlan-0:80", [net("fe80::1%wlan-0")]],
  ["net:::ffff:127.0.0.1:80", [net("::ffff:127.0.0.1")]],
  ["net:2001:db8:0:0:0:0:0:1:80", [net("2001:db8:0:0:0:0:0:1")]],
  ["net:127.0.0.1:65535", [net("127.0.0.1", 65535)]],
  ["net:h.:80", [net("h.")]],
  ["net:Some_Host-2.EXAMPLE:80", [net("Some_Host-2.EXAMPLE")]],
  ["net:bücher.example:80", [net("bücher.example")]],
  ["net:xn--bcher-kva.example:80", [net("xn--bcher-kva.example")]],
  ["net:h:0", [net("h", 0)]],
  ["!n!e!t!:h:!80", [net("h")], "net:h:80"],
  ["onion:x.onion:80", [{ name: "onion", host: "x.onion", port: 80 }]],
  ["onion:X.ONION:80", [{ name: "onion", host: "X.ONION", port: 80 }]],
  ["onion:sub.x.onion.:80", [{ name: "onion", host: "sub.x.onion.", port: 80 }]],
  ["ws://h", [web("ws", "h", 80)]],
  ["wss://h", [web("wss", "h", 443)]],
  ["ws://h/", [web("ws", "h", 80)], "ws://h"],
  ["ws://h:80", [web("ws", "h", 80)], "ws://h"],
  ["wss://h:443/", [web("wss", "h", 443)], "wss://h"],
  ["ws://h:443", [web("ws", "h", 443)]],
  ["wss://h:80", [web("wss", "h", 80)]],
  ["ws://h:0", [web("ws", "h", 0)]],
  ["ws://H.Example:8989/Path", [web("ws", "h.example", 8989, "/Path")], "ws://h.example:8989/Path"],
  ["ws://[::1]:80", [web("ws", "::1", 80)], "ws://[::1]"],
  ["ws://[2001:DB8::A]:8989", [web("ws", "2001:db8::a", 8989)], "ws://[2001:db8::a]:8989"],
  ["ws://[::ffff:1.2.3.4]", [web("ws", "::ffff:1.2.3.4", 80)]],
  ["ws://bücher.example", [web("ws", "xn--bcher-kva.example", 80)], "ws://xn--bcher-kva.example"],
  ["ws://h?x=1", [web("ws", "h", 80, "/?x=1")], "ws://h/?x=1"],
  ["ws://h/?x", [web("ws", "h", 80, "/?x")]],
  ["ws://h:1/a:b//c?q=1&r=a/b?", [web("ws", "h", 1, "/a:b//c?q=1&r=a/b?")]],
  ["ws://h/%7e%zz", [web("ws", "h", 80, "/%7e%zz")]],
  ["ws://h/é", [web("ws", "h", 80, "/é")]],
  ["ws://h_x.", [web("ws", "h_x.", 80)]],
  [`wss://h/p!~x?q=1~shs:${key}`, [web("wss", "h", 443, "/p~x?q=1"), shs]],
  [`wss://h/a!!b!c~shs:${key}`, [web("wss", "h", 443, "/a!bc"), shs], `wss://h/a!!bc~shs:${key}`],
  ["unix:/a:b/c", [{ name: "unix", path: "/a:b/c" }]],
  ["unix:a", [{ name: "unix", path: "a" }]],
  ["unix:/tmp/multiserver-x/socket", [{ name: "unix", path: "/tmp/multiserver-x/socket" }]],
  ["unix:/a!~b!!c", [{ name: "unix", path: "/a~b!c" }]],
  ["unix:/a!", [{ name: "unix", path: "/a!" }], "unix:/a!!"],
  ["unix:/é/😀", [{ name: "unix", path: "/é/😀" }]],
  ["unix:/!😀!é", [{ name: "unix", path: "/😀é" }], "unix:/😀é"],
  [`net:h:80~shs:${key}`, [net("h"), shs]],
  [`net:h:80~shs:${key.replace("=", "")}`, [net("h"), shs], `net:h:80~shs:${key}`],
  [`net:h:80~shs:${urlSafe}`, [net("h"), shs], `net:h:80~shs:${key}`],
  [`net:h:80~shs:${key}.ed25519`, [net("h"), shs], `net:h:80~shs:${key}`],
  [`net:h:80~shs:@${key}`, [net("h"), shs], `net:h:80~shs:${key}`],
  [`net:h:80~shs:@${urlSafe}.ed25519`, [net("h"), shs], `net:h:80~shs:${key}`],
  [`net:h:80~shs:${key}:${seed}`, [net("h"), { ...shs, seed }]]
]

/** 3.8.2 reads it, ours doesn't, because. */
const stricter: ReadonlyArray<readonly [text: string, reason: Address.AddressReason["_tag"], because: string]> = [
  ["net:h:", "BadPort", "an empty port is a port forgotten, not port 0"],
  ["net:h:-1", "BadPort", "no such port"],
  ["net:h:99999", "BadPort", "no such port; dialing it would throw"],
  ["net:h:80.5", "BadPort", "no such port"],
  ["net:h:Infinity", "BadPort", "no such port"],
  ["net:h:1e3", "BadPort", "ports are decimal: two texts would be one address"],
  ["net:h:0x50", "BadPort", "ports are decimal"],
  ["net:h:080", "BadPort", "ports are not padded: elsewhere that is octal"],
  ["net:h:+80", "BadPort", "ports are digits"],
  ["net:h: 80 ", "Syntax", "no white space in an address"],
  ["net:h\u0000:80", "Syntax", "no control characters in an address: the system's name ends at NUL"],
  ["net:a:b:80", "BadHost", "only IPv6 has colons"],
  ["net:h:80:90", "BadHost", "only IPv6 has colons"],
  ["net::::::80", "BadHost", "no IPv6 address"],
  ["net:1:2:3:4:5:6:7:8:9:80", "BadHost", "no IPv6 address"],
  ["net:h%eth0:80", "BadHost", "only IPv6 has a zone"],
  ["net:::1%:80", "BadHost", "an empty zone"],
  ["net:::1%a/b:80", "BadHost", "no zone has a slash"],
  ["net:h/x:80", "BadHost", "no host name"],
  ["net:u@h:80", "BadHost", "no host name"],
  ["net:*:80", "BadHost", "no host name; every interface is :: or 0.0.0.0"],
  ["net:[h]:80", "BadHost", "brackets are for IPv6"],
  ["net:x.onion:80", "BadHost", ".onion names never reach DNS: those are onion:NAME:PORT"],
  ["net:x.ONION.:80", "BadHost", ".onion names never reach DNS"],
  ["net:x.ｏｎｉｏｎ:80", "BadHost", "is looked up as x.onion"],
  ["net:x.oni\ufe0fon:80", "BadHost", "is looked up as x.onion"],
  ["ws://x.onion", "BadHost", ".onion names never reach DNS"],
  ["ws://x.ｏｎｉｏｎ/", "BadHost", "is looked up as x.onion"],
  ["onion::80", "BadHost", "localhost is no onion service"],
  ["onion:h:80", "BadHost", "an exit to the open network is not what onion is for"],
  ["onion:ｘ.onion:80", "BadHost", "onion names are ASCII"],
  ["net:１２７.0.0.1:80", "BadHost", "an IP address is written in ASCII"],
  ["ws://127.0ｘ.0.1/", "BadHost", "3.8.2 would look up a name where a URL has 127.0.0.1"],
  ["WS://H", "Syntax", "names of protocols are in lower case, as net's are for 3.8.2"],
  ["ws:h:8080", "Syntax", "3.8.2 reads no host in it and dials localhost:80"],
  ["ws:127.0.0.1", "Syntax", "3.8.2 reads no host in it"],
  ["ws:null", "Syntax", "3.8.2 reads no host in it"],
  ["ws:::1", "Syntax", "3.8.2 reads no host in it"],
  ["ws://", "BadHost", "no host"],
  ["ws:///p", "BadHost", "no host"],
  ["ws://h:99999", "BadPort", "no such port; dialing it throws"],
  ["ws://h:080", "BadPort", "ports are not padded"],
  ["ws://h:", "BadPort", "an empty port is a port forgotten"],
  ["ws://::1:80", "BadHost", "3.8.2 reads host :80 and path /::1"],
  ["ws://h:1:2", "BadPort", "3.8.2 reads port 2 and path /:1"],
  ["ws://u:p@h/p", "BadHost", "a password in an address would be printed"],
  ["ws://u@h", "BadHost", "a user in an address would be printed"],
  ["ws://[h]", "BadHost", "brackets are for IPv6"],
  ["ws://a%62c", "BadHost", "3.8.2 reads host a and path /%62c"],
  ["ws://h/p?q=1#f", "BadPath", "a fragment never leaves the client"],
  ["ws://h#f", "BadPath", "a fragment never leaves the client"],
  ["ws://h\\p", "BadHost", "a backslash is no slash"],
  ["ws://h/a\\b", "BadPath", "a backslash is no slash"],
  ["ws://h/{a}", "BadPath", "3.8.2 reads %7Ba%7D: one text for one path"],
  ["ws://h/it's", "BadPath", "3.8.2 reads it%27s"],
  ['ws://h/a|b^c`d<e>f"g', "BadPath", "3.8.2 reads them percent-encoded"],
  ["unix:", "BadPath", "no path"],
  ["unix:/a b", "Syntax", "no white space in an address"],
  ["unix:/a\nb", "Syntax", "no control characters in an address: a log would have two lines"],
  ["unix:/a\u202eb", "Syntax", "no bidirectional controls: what is seen is not what is read"],
  ["unix:/\ud800", "Syntax", "a lone surrogate is no character"],
  [`net:h:80~shs:${looseKey}`, "BadKey", "two texts would be one key"],
  [`net:h:80~shs:${key.slice(0, 20)}*${key.slice(20)}`, "BadKey", "junk inside"],
  [`net:h:80~shs:${key}=`, "BadKey", "too much padding"],
  [`net:h:80~shs:${key}:${seed}:extra`, "BadSeed", "nothing is ignored silently"],
  ["net:h:80~noauth:", "BadKey", "noauth or noauth:KEY, nothing is ignored silently"],
  [`net:h:80~noauth:${hexKey}`, "BadKey", "noauth or noauth:KEY"]
]

/** Neither reads it. */
const neither: ReadonlyArray<readonly [text: string, reason: Address.AddressReason["_tag"]]> = [
  ["net:h", "BadPort"],
  ["net", "BadPort"],
  ["net:h:80/x", "BadPort"],
  ["NET:h:80", "Syntax"],
  ["", "Syntax"],
  ["net:h:80~", "Syntax"],
  [`~shs:${key}`, "Syntax"],
  ["onion:x.onion", "BadPort"],
  ["unix", "BadPath"],
  ["ws://[x", "BadHost"],
  ["ws://xn--iñvalid", "BadHost"],
  ["net:h:80~shs:", "BadKey"],
  [`net:h:80~shs:${key}:`, "BadSeed"],
  [`net:h:80~shs:${key}:${seed.slice(0, 20)}`, "BadSeed"],
  [`net:h:80~shs:${key.slice(0, 20)}`, "BadKey"],
  [`net:h:80~shs:${hexKey}`, "BadKey"]
]

/** Ours reads what 3.8.2 can't dial, because. */
const wider: ReadonlyArray<readonly [text: string, read: ReadonlyArray<Section>, written: string, because: string]> = [
  ["net:[::1]:80", [net("::1")], "net:::1:80", "3.8.2 keeps the brackets, and looks them up as a name"],
  [
    "ws://[fe80::1%eth0]:80",
    [web("ws", "fe80::1%eth0", 80)],
    "ws://[fe80::1%eth0]",
    "3.8.2 advertises it and throws when it parses it"
  ],
  ["net:h:80~shs", [net("h"), { name: "shs" }], "net:h:80~shs", "what a listener is given; 3.8.2 throws"],
  [
    "ws://[FE80::1%Eth0]",
    [web("ws", "fe80::1%Eth0", 80)],
    "ws://[fe80::1%Eth0]",
    "a zone is the name of an interface, and has two cases"
  ],
  [
    `net:h:80~shs:${key.replace("=", "")}.ed25519`,
    [net("h"), shs],
    `net:h:80~shs:${key}`,
    "3.8.2 takes the suffix for digits when no padding is before it"
  ],
  ["memory:a:b", [{ name: "memory" }], "memory:a:b", "ours alone"],
  ["foo-2:a:b~bar", [{ name: "foo-2" }, { name: "bar" }], "foo-2:a:b~bar", "kept for a protocol of another author"]
]

describe("beside multiserver 3.8.2", () => {
  it.each(same.map(([text, read, written = text]) => [text, read, written] as const))(
    // Not the text: it may have a seed in it, and titles are printed.
    "both read %#",
    (text, read, written) => {
      const address = one(text)
      assert.deepStrictEqual(allFields(address), [...read])
      assert.deepStrictEqual(readAddress(text), [...read])
      assert.strictEqual(Address.formatWithSecrets(address), written)
      assert.deepStrictEqual(readAddress(written), [...read])
    }
  )

  it.each(stricter)("ours is stricter with %j: %s, %s", (text, reason) => {
    assert.strictEqual(failed(text).reason._tag, reason)
    // noauth's plugin reads anything at all.
    const theirs = readAddress(text).filter((_, i) => !text.split("~")[i]?.startsWith("noauth"))
    assert.notInclude(theirs, undefined)
  })

  it.each(neither)("neither reads %j: %s", (text, reason) => {
    assert.strictEqual(failed(text).reason._tag, reason)
    assert.include(readAddress(text), undefined)
  })

  it.each(wider)("ours reads %j", (text, read, written) => {
    const address = one(text)
    assert.deepStrictEqual(allFields(address), [...read])
    assert.strictEqual(Address.format(address), written)
    assert.notDeepEqual(readAddress(text), [...read])
  })

  it("noauth is written bare, and read with a key as its connections show it", () => {
    assert.strictEqual(Address.format(one("ws://h~noauth")), "ws://h~noauth")
    assert.strictEqual(Address.format(one(`net:h:80~noauth:${key}`)), "net:h:80~noauth")
    assert.strictEqual(plugins.noauth({}).stringify(), "noauth")
  })

  it("! does not protect a ;", () => {
    const addresses = parsed("unix:/a!;net:h:80")
    assert.deepStrictEqual(addresses.map(allFields), [[{ name: "unix", path: "/a!" }], [net("h")]])
  })

  it("writes in a path of unix what an address can't hold as %xx, which 3.8.2 reads as three characters", () => {
    for (const [path, text] of [
      ["/Users/me/Library/Application Support/s", "unix:/Users/me/Library/Application%20Support/s"],
      ["/a;b", "unix:/a%3Bb"],
      ["/a\u00a0b\u2028", "unix:/a%C2%A0b%E2%80%A8"],
      ["/a%20b", "unix:/a%2520b"],
      ["/100%", "unix:/100%"],
      ["/%zz%4", "unix:/%zz%4"],
      ["/a ~!", "unix:/a%20!~!!"],
      ["/é", "unix:/é"]
    ] as const) {
      const address = new Address.Address({ transport: new Address.Unix({ path }), transforms: [] })
      assert.strictEqual(Address.format(address), text)
      assert.deepStrictEqual(one(text), address)
      assert.strictEqual(Address.format(one(text)), text)
    }
    assert.deepStrictEqual(one("unix:/%c3%a9").transport, new Address.Unix({ path: "/é" }))
    const [theirs] = readAddress("unix:/a%20b")
    assert.deepStrictEqual(theirs, { name: "unix", path: "/a%20b" })
    for (const path of ["", "/a\n", "/\u0000", "/\u202e", "/\ud800"]) assert.throws(() => new Address.Unix({ path }))
  })

  it("reads what its servers advertise, and writes the same", () => {
    const keys = { publicKey: Buffer.from(keyBytes), secretKey: Buffer.alloc(64) }
    const secure = plugins.shs({ keys, auth: () => {} })
    const hosts = ["h.example", "127.0.0.1", "::1", "::", "fe80::1%wlan-0", "localhost"]
    for (const host of hosts) {
      for (const port of [80, 443, 8008, 65535]) {
        const tls = { key: Buffer.alloc(1), cert: Buffer.alloc(1) }
        const external = [host, "pub.example"]
        const text = plugins
          .multiserver([
            [plugins.net({ host, port }), secure],
            [plugins.ws({ host, port }), secure],
            [plugins.ws({ host, port, ...tls }), plugins.noauth({})],
            [plugins.net({ scope: ["device", "public"], port, external }), secure]
          ])
          .stringify("device")
        assert.strictEqual(Address.format(parsed(text ?? "")), text)
        const several = plugins.net({ scope: "public", port, external }).stringify("public")
        assert.strictEqual(parsed(several ?? "").length, 2)
        assert.strictEqual(Address.format(parsed(several ?? "")), several)
      }
    }
    const path = plugins.unix({ path: "/tmp/a~b!c:d" }).stringify("device")
    const text = plugins.multiserver([[plugins.unix({ path: "/tmp/a~b!c:d" }), secure]]).stringify()
    assert.strictEqual(path, "unix:/tmp/a~b!c:d/socket")
    assert.strictEqual(Address.format(parsed(text ?? "")), text)
    assert.deepStrictEqual(allFields(one(text ?? "")), [{ name: "unix", path: "/tmp/a~b!c:d/socket" }, shs])
  })

  it("its stacks understand what ours writes", () => {
    const written = (text: string) => Address.formatWithSecrets(parsed(text))
    assert.isTrue(understands(["net", "shs"], written(`net:[::1]:8008~shs:@${urlSafe}.ed25519`)))
    assert.isTrue(understands(["net", "shs"], written(`net:h:8008~shs:${key}:${seed}`)))
    assert.isTrue(understands(["ws", "shs"], written(`wss://h/p!~x~shs:${key}`)))
    assert.isTrue(understands(["onion", "shs"], written(`onion:x.onion:80~shs:${key}`)))
    assert.isTrue(understands(["unix", "shs"], written(`unix:/a!~b~shs:${key}`)))
    assert.isTrue(understands(["unix"], written("unix:/a!~b")))
  })
})

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

const long = "a".repeat(2048)

const errors: ReadonlyArray<
  readonly [text: string, reason: Address.AddressReason["_tag"], offset: number, expected: RegExp]
> = [
  ["net:h", "BadPort", 5, /port, as in HOST:PORT/],
  ["net:h:0x50", "BadPort", 6, /decimal port/],
  ["net:h:1e3", "BadPort", 6, /decimal port/],
  ["net:h: 80", "Syntax", 6, /no white space/],
  ["net:h:-1", "BadPort", 6, /decimal port/],
  ["net:h:99999", "BadPort", 6, /to 65535/],
  ["net:h:65536", "BadPort", 6, /to 65535/],
  ["net:h:080", "BadPort", 6, /decimal port/],
  ["net:h:80.5", "BadPort", 6, /decimal port/],
  ["net:h:", "BadPort", 6, /decimal port/],
  ["net:h:８０", "BadPort", 6, /decimal port/],
  ["net:h :80", "Syntax", 5, /no white space/],
  ["net:a/b:80", "BadHost", 4, /host name or an IP/],
  ["net:x.onion:80", "BadHost", 4, /onion:NAME:PORT/],
  ["onion:h:80", "BadHost", 6, /ends in \.onion/],
  [`net:${"a".repeat(256)}:80`, "BadHost", 4, /host name/],
  ["ws:h", "Syntax", 2, /:\/\/HOST/],
  ["ws", "Syntax", 2, /:\/\/HOST/],
  ["wss;net:h:1", "Syntax", 3, /:\/\/HOST/],
  ["ws://a b", "Syntax", 6, /no white space/],
  ["ws://h:x/p", "BadPort", 7, /decimal port/],
  ["ws://[::1]:x/p", "BadPort", 11, /decimal port/],
  ["ws://[::1]x", "BadHost", 5, /IPv6 in brackets/],
  ["ws://h:1/a#b", "BadPath", 10, /no fragment/],
  ["unix:", "BadPath", 5, /a path/],
  ["unix:/a%00b", "BadPath", 7, /a path/],
  ["unix:/a%0Ab", "BadPath", 7, /a path/],
  ["unix:/a%ffb", "BadPath", 7, /UTF-8/],
  ["unix:/a%E2%80%AEb", "BadPath", 7, /a path/],
  ["memory:", "Syntax", 7, /a name/],
  ["memory", "Syntax", 6, /a name/],
  ["Foo:x", "Syntax", 0, /lower-case/],
  [":x", "Syntax", 0, /a protocol's name/],
  ["", "Syntax", 0, /the text is empty/],
  [";", "Syntax", 0, /a section/],
  ["__proto__:x", "Syntax", 0, /a protocol's name/],
  ["net:__proto__:__proto__", "BadPort", 14, /decimal port/],
  ["net:h:1~__proto__", "Syntax", 8, /a protocol's name/],
  ["net:h:1~~noauth", "Syntax", 8, /a section/],
  ["net:h:1;;net:h:2", "Syntax", 8, /a section/],
  ["net:h:1;", "Syntax", 8, /a section/],
  ["net:h:1~", "Syntax", 8, /a section/],
  [`shs:${key}~net:h:1`, "MissingSection", 0, /a transport such as/],
  ["noauth", "MissingSection", 0, /a transport/],
  ["net:h:1~net:h:2", "MissingSection", 8, /a transform such as/],
  [`net:h:1~shs:${key}~memory:x`, "MissingSection", 57, /not the transport memory/],
  ["net:h:1~shs:AA", "BadKey", 12, /32-byte public key/],
  [`net:h:1~shs:${looseKey}`, "BadKey", 12, /32-byte public key/],
  [`net:h:1~shs:${key}:AA`, "BadSeed", 57, /32-byte seed/],
  ["net:h:1~noise:AA", "BadKey", 14, /32-byte public key/],
  [`net:h:1~noise:${key}:AA`, "BadToken", 59, /32-byte token/],
  [`net:h:1~noise:${key}:${seed}:extra`, "BadToken", 59, /32-byte token/],
  // On the wire, zeros mean that there is none.
  [`net:h:1~noise:${key}:${base64(new Uint8Array(32))}`, "BadToken", 59, /token that is not all zeros/],
  [`noise:${key}~net:h:1`, "MissingSection", 0, /a transport such as/],
  ["net:h:1~noauth:x", "BadKey", 15, /32-byte public key/],
  // In a second address, and after escapes, the offset is still that of the given text.
  ["net:h:1;net:h:x", "BadPort", 14, /decimal port/],
  ["unix:/!~!~;net:h:x", "BadPort", 17, /decimal port/],
  ["unix:/!~!~~shs:x", "BadKey", 15, /public key/],
  ["ws://h/!~!!#", "BadPath", 11, /no fragment/],
  ["net:h:1;ws://h/!~!!#", "BadPath", 19, /no fragment/],
  ["net:!h:!x", "BadPort", 7, /decimal port/],
  ["net:h:1;net:!😀!é:1", "BadHost", 12, /host name/],
  ["foo:😀;net:h:x", "BadPort", 13, /decimal port/],
  ["net:h:80!", "BadPort", 6, /decimal port/],
  ["net:h!", "BadPort", 6, /port, as in HOST:PORT/],
  // Limits.
  [`foo:${long}`, "TooLong", 0, /2048 bytes/],
  [`net:h:1;foo:${long}`, "TooLong", 8, /2048 bytes/],
  [`foo:${"é".repeat(1023)}`, "TooLong", 0, /2048 bytes/],
  [`net:h:1${"~a".repeat(8)}`, "TooLong", 22, /8 sections/],
  [Array.from({ length: 17 }, () => "net:h:1").join(";"), "TooLong", 128, /16 addresses/],
  [`foo:${"!a".repeat(1100)}`, "TooLong", 0, /2048 bytes/],
  // As ours writes them they would be longer.
  [`net::1~${"a".repeat(2041)}`, "TooLong", 0, /2048 bytes/],
  [`foo:${"a".repeat(1951)}~shs:${key}:${seed.replace("=", "")}`, "TooLong", 0, /2048 bytes/]
]

describe("an address that is none", () => {
  it.each(errors.map(([text, ...rest]) => [text.slice(0, 60), text, ...rest] as const))(
    "%j",
    (_, text, reason, offset, expected) => {
      const error = failed(text)
      assert.instanceOf(error, Address.AddressError)
      assert.strictEqual(error.reason._tag, reason)
      assert.strictEqual(error.reason.offset, offset)
      assert.match(error.reason.expected, expected)
      assert.include(error.message, `at character ${offset}, expected `)
      assert.strictEqual(error.reason.message, error.message)
      assert.isFalse(error.isRetryable)
      assert.isFalse(error.reason.isRetryable)
    }
  )

  it("has no white space, control, format or unassigned character, and no lone surrogate, anywhere", () => {
    const odd = [
      "\0",
      "\t",
      "\n",
      "\r",
      " ",
      "\x1b",
      "\x7f",
      "\x85",
      "\xa0",
      "\xad",
      "\u061c",
      "\u200b",
      "\u200e"
    ].concat(
      ["\u2028", "\u202a", "\u202e", "\u2066", "\u2069", "\u3000", "\ufeff", "\ue000", "\uffff", "\ud800", "\udc00"],
      ["\u{e0001}", "\u{10ffff}"]
    )
    for (const character of odd) {
      for (const [before, after] of [
        ["", "net:h:1"],
        ["net:h", ":1"],
        ["net:h:1", ""],
        ["unix:/é😀!", "b"],
        ["net:h:1;foo:", "~noauth"]
      ] as const) {
        const error = failed(`${before}${character}${after}`)
        assert.strictEqual(error.reason._tag, "Syntax")
        assert.strictEqual(error.reason.offset, before.length)
      }
    }
  })

  it("does not hold the text, which may hold a seed", () => {
    const error = failed(`net:h:1~shs:${key}:${seed.slice(0, -2)}`)
    for (const text of [String(error), util.inspect(error), JSON.stringify(error), `${error.stack}`]) {
      assert.notInclude(text, seed.slice(0, 8))
      assert.notInclude(text, key)
    }
  })

  it("goes over the wire as it is", () => {
    const codec = Schema.toCodecJson(Address.AddressError)
    const error = failed("net:h:1;net:h:x")
    const json = JSON.stringify(Schema.encodeSync(codec)(error))
    const back = Schema.decodeUnknownSync(codec)(JSON.parse(json))
    assert.strictEqual(back.message, error.message)
    assert.strictEqual(back.reason._tag, "BadPort")
  })
})

describe("limits", () => {
  const shapes = [
    "~",
    "!",
    ";",
    ":",
    "a",
    "é",
    "😀",
    "[",
    "/",
    "%",
    " ",
    "\0",
    "!~",
    "a~",
    "a;",
    "net:h:1~",
    "net:h:1;",
    "="
  ]

  it.each(shapes)("1 MiB of %j is too long, whatever comes first", (shape) => {
    for (const start of ["", "net:h:1~foo:", "ws://", `net:h:1~shs:${key}:`]) {
      const text = start + shape.repeat(2 ** 20 / shape.length)
      const error = failed(text)
      assert.strictEqual(error.reason._tag, "TooLong")
      assert.strictEqual(error.reason.offset, 0)
    }
  })

  it("what is as long as can be is read", () => {
    const text = `foo:${"a".repeat(2044)}`
    assert.strictEqual(Address.format(parsed(text)), text)
    const wide = `foo:${"é".repeat(1022)}`
    assert.strictEqual(Address.format(parsed(wide)), wide)
    const many = Array.from({ length: 16 }, () => text).join(";")
    assert.strictEqual(Address.format(parsed(many)), many)
    const deep = `net:h:1${"~a".repeat(7)}`
    assert.strictEqual(one(deep).stack, `net${"~a".repeat(7)}`)
  })

  /** The best of several, so that what else the machine does hardly counts. */
  const nanoseconds = (text: string): number => {
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < 15; round++) {
      const start = process.hrtime.bigint()
      for (let i = 0; i < 20; i++) Address.parse(text)
      best = Math.min(best, Number(process.hrtime.bigint() - start) / 20)
    }
    return best
  }

  const growing: ReadonlyArray<readonly [string, (length: number) => string]> = [
    ["escapes", (n) => `foo:${"!".repeat(n)}`],
    ["escapes before a fault", (n) => `ws://h/${"!a".repeat(n / 2)}#`],
    ["colons in a host", (n) => `net:${":".repeat(n)}:1`],
    ["dots in a host", (n) => `net:${".".repeat(n)}:1`],
    ["zones", (n) => `net:::1${"%a".repeat(n / 2)}:1`],
    ["brackets", (n) => `ws://${"[".repeat(n)}`],
    ["slashes", (n) => `ws://h${"/".repeat(n)}#`],
    ["onions", (n) => `net:${".onion".repeat(n / 6)}x:1`],
    ["padding", (n) => `net:h:1~shs:${"=".repeat(n)}`],
    ["sections", (n) => `net:h:1${"~a".repeat(n / 2)}`],
    ["beyond ASCII", (n) => `unix:${"é".repeat(n / 2)}`],
    ["addresses", (n) => Array.from({ length: 16 }, () => `foo:${"!~".repeat(n / 40)}`).join(";")],
    ["a fault at the end", (n) => `foo:${"a".repeat(n)}\0`]
  ]

  it.each(growing)("the time for ten times as many %s is no hundred times as much", (_, shape) => {
    nanoseconds(shape(1900))
    const [few, many] = [nanoseconds(shape(190)), nanoseconds(shape(1900))]
    assert.isBelow(many, 50 * few + 100_000)
  })
})

// -----------------------------------------------------------------------------
// as data
// -----------------------------------------------------------------------------

describe("an address", () => {
  it("is equal to another by what is in it", () => {
    for (const text of [
      "net:h:1",
      `net:h:1~shs:${key}`,
      `net:h:1~shs:${key}:${seed};wss://h/p~noauth`,
      "foo:x~bar:!~",
      "unix:/a;memory:b;onion:x.onion:1"
    ]) {
      assert.isTrue(Equal.equals(parsed(text), parsed(text)))
      assert.strictEqual(Hash.hash(parsed(text)), Hash.hash(parsed(text)))
      assert.isTrue(Equal.equals(one(text), one(text)))
      assert.deepStrictEqual(parsed(text), parsed(text))
    }
    const publicKey = PublicKey.make(keyBytes)
    const made = new Address.Address({
      transport: new Address.Net({ host: "h", port: 1 }),
      transforms: [new Address.Shs({ publicKey })]
    })
    assert.isTrue(Equal.equals(one(`net:h:1~shs:${key}`), made))
    assert.deepStrictEqual(one(`net:h:1~shs:${key}`), made)
    for (const other of ["net:h:2", "net:i:1", "net:h:1~noauth", `net:h:1~shs:${seed}`, "ws://h:1", "net:h:1~shs"]) {
      assert.isFalse(Equal.equals(one(other), made))
    }
    assert.isFalse(Equal.equals(one(`net:h:1~shs:${key}:${seed}`), one(`net:h:1~shs:${key}:${key}`)))
  })

  it("is an instance of its classes, which accept it", () => {
    const address = one(`ws://h/p~shs:${key}:${seed}~foo:x`)
    assert.instanceOf(address, Address.Address)
    assert.instanceOf(address.transport, Address.Ws)
    assert.instanceOf(address.transforms[0], Address.Shs)
    assert.instanceOf(address.transforms[1], Address.Opaque)
    assert.isTrue(Schema.is(Address.Address)(address))
    const [transport, ...transforms] = [address.transport, ...address.transforms]
    assert.isTrue(Equal.equals(new Address.Address({ transport, transforms }), address))
  })

  it("has a stack, and takes one more transform", () => {
    const address = one("net:h:1")
    assert.strictEqual(address.stack, "net")
    const more = address.with(new Address.Noauth({})).with(new Address.Opaque({ name: "zip", data: ":9" }))
    assert.strictEqual(more.stack, "net~noauth~zip")
    assert.strictEqual(String(more), "net:h:1~noauth~zip:9")
  })

  it("can't be made of what can't be written", () => {
    const refused: ReadonlyArray<() => unknown> = [
      () => new Address.Net({ host: "", port: 1 }),
      () => new Address.Net({ host: "[::1]", port: 1 }),
      () => new Address.Net({ host: "x.onion", port: 1 }),
      () => new Address.Net({ host: "h", port: 65536 }),
      () => new Address.Net({ host: "h", port: 1.5 }),
      () => new Address.Onion({ host: "h", port: 1 }),
      () => new Address.Ws({ host: "H", port: 1, path: "/" }),
      () => new Address.Ws({ host: "h", port: 1, path: "p" }),
      () => new Address.Ws({ host: "h", port: 1, path: "/#" }),
      () => new Address.Wss({ host: "h", port: 1, path: "/a;b" }),
      () => new Address.Unix({ path: "" }),
      () => new Address.Unix({ path: "/a\n" }),
      () => new Address.Unix({ path: "/a\u0000" }),
      () => new Address.Memory({ name: "" }),
      () => new Address.Shs({ publicKey: PublicKey.make(new Uint8Array(31)) }),
      () => new Address.Shs({ seed: Redacted.make(seedBytes) }),
      () => new Address.Noise({ publicKey: PublicKey.make(new Uint8Array(31)) }),
      () => new Address.Noise({ token: Redacted.make(seedBytes) }),
      () => new Address.Noise({ publicKey: PublicKey.make(keyBytes), token: Redacted.make(new Uint8Array(32)) }),
      () => new Address.Opaque({ name: "noise", data: "" }),
      () => new Address.Opaque({ name: "shs", data: "" }),
      () => new Address.Opaque({ name: "Foo", data: "" }),
      () => new Address.Opaque({ name: "foo", data: "x" }),
      () => new Address.Opaque({ name: "foo", data: ":\n" }),
      () => new Address.Address({ transport: new Address.Noauth({}), transforms: [] }),
      () => one("net:h:1").with(new Address.Net({ host: "h", port: 1 })),
      () => one(`net:h:1${"~a".repeat(7)}`).with(new Address.Noauth({}))
    ]
    for (const make of refused) assert.throws(make)
  })

  it("goes through JSON, with each of its sections, as data and as text", () => {
    const text = `net:::1:1~shs:${key};net:h:1~noise:${key};net:h:1~noise;ws://h/!~~noauth;wss://h:1~shs;unix:/a!!;onion:x.onion:2;memory:m~foo:x~bar`
    for (const [codec, value] of [
      [Schema.toCodecJson(Address.MultiAddress), parsed(text)],
      [Schema.toCodecJson(Address.MultiAddressFromString), parsed(text)]
    ] as const) {
      const json: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(codec)(value)))
      assert.isTrue(Equal.equals(Schema.decodeUnknownSync(codec)(json), value))
    }
    assert.strictEqual(Schema.encodeSync(Address.MultiAddressFromString)(parsed(text)), text)
  })
})

describe("the codec", () => {
  it("says where the fault is, and does not repeat the text", () => {
    const result = Schema.decodeResult(Address.MultiAddressFromString)(`net:h:x~shs:${key}:${seed}`)
    assert.isTrue(Result.isFailure(result))
    if (Result.isFailure(result)) {
      assert.match(result.failure.message, /at character 6, expected a decimal port/)
      assert.notInclude(util.inspect(result.failure, { depth: 20 }), seed.slice(0, 8))
    }
  })

  it("writes nothing that it would not read", () => {
    const encode = Schema.encodeResult(Address.MultiAddressFromString)
    const transport = (path: string) => new Address.Address({ transport: new Address.Unix({ path }), transforms: [] })
    assert.isTrue(Result.isSuccess(encode([transport("a".repeat(2043))])))
    assert.isTrue(Result.isFailure(encode([transport("a".repeat(2044))])))
    assert.isTrue(Result.isFailure(encode([transport("!".repeat(1022))])))
    const [first, ...rest] = Array.from({ length: 17 }, () => transport("a"))
    assert.isTrue(Result.isFailure(encode([first ?? transport("a"), ...rest])))
  })
})

// -----------------------------------------------------------------------------
// seeds
// -----------------------------------------------------------------------------

const secretSections = [
  { name: "shs", what: "seed", Bad: "BadSeed" },
  { name: "noise", what: "token", Bad: "BadToken" }
] as const

describe.each(secretSections)("a $what", ({ Bad, name }) => {
  const text = `net:h:1~${name}:${key}:${seed}`
  const address = one(text)
  const section = address.transforms[0]
  /** The forms in which the bytes get out. */
  const forms = [
    seed,
    seed.replaceAll("=", ""),
    seed.replaceAll("+", "-").replaceAll("/", "_"),
    Buffer.from(seedBytes).toString("hex"),
    seedBytes.slice(0, 8).join(","),
    seedBytes.slice(0, 8).join(", "),
    String(seedBytes)
  ].map((form) => form.slice(0, 16))
  const assertHidden = (shown: string) => {
    for (const form of forms) assert.notInclude(shown, form)
  }

  it("is nowhere in what is printed", () => {
    for (const value of [
      address,
      section,
      parsed(`net:i:2;${text}`),
      [address],
      { address },
      new Map([[1, address]])
    ]) {
      assertHidden(String(value))
      assertHidden(`${JSON.stringify(value)}`)
      assertHidden(util.inspect(value, { depth: 20, showHidden: true }))
      assertHidden(util.inspect(value, { depth: 20, customInspect: false }))
      assertHidden(util.format("%s %o %O %j", value, value, value, value))
      assertHidden(JSON.stringify(structuredClone(value)))
    }
    const shown = `net:h:1~${name}:${key}:<redacted>`
    assert.strictEqual(`${address}`, shown)
    assert.strictEqual(Address.format([address, address]), `${shown};${shown}`)
    assert.strictEqual(util.inspect(address), shown)
    assert.strictEqual(JSON.stringify([address]), JSON.stringify([shown]))
    assert.strictEqual(failed(shown).reason._tag, Bad)
  })

  it.effect("is not encoded by any schema", () =>
    Effect.gen(function* () {
      const schemas = [
        [Address.MultiAddressFromString, [address]],
        [Address.MultiAddress, [address]],
        [Address.Address, address],
        [Address.Section, section],
        [name === "shs" ? Address.Shs : Address.Noise, section]
      ] as const
      for (const [schema, value] of schemas) {
        for (const codec of [
          schema,
          Schema.toCodecJson(schema),
          Schema.toCodecJson(Schema.toType(schema)),
          Schema.toCodecStringTree(schema),
          Schema.toCodecStringTree(Schema.toType(schema))
        ]) {
          const error = yield* Effect.flip(Schema.encodeUnknownEffect(codec)(value))
          assert.match(error.message, /a seed or token is a secret and is not encoded/)
          assertHidden(util.inspect(error, { depth: 20 }))
        }
      }
      assertHidden(Schema.toFormatter(Address.Address)(address))
    })
  )

  it("is in no message of a constructor that refuses it", () => {
    for (const bytes of [seedBytes.slice(1), new Uint8Array([...seedBytes, 1])]) {
      const [publicKey, secret] = [PublicKey.make(keyBytes), Redacted.make(bytes)]
      const make = () =>
        name === "shs" ? new Address.Shs({ publicKey, seed: secret }) : new Address.Noise({ publicKey, token: secret })
      assert.throws(make)
      const error = Result.getFailure(Result.try(make))
      assertHidden(util.inspect(error, { depth: 20 }))
      assert.notInclude(util.inspect(error, { depth: 20 }), bytes.slice(0, 8).join(", "))
    }
  })

  it("is shown by the one function that says so, and read back", () => {
    assert.strictEqual(Address.formatWithSecrets(address), text)
    assert.strictEqual(Address.formatWithSecrets(parsed(`net:i:2;${text}`)), `net:i:2;${text}`)
    assert.isTrue(Equal.equals(one(Address.formatWithSecrets(address)), address))
    const secret = section?._tag === "shs" ? section.seed : section?._tag === "noise" ? section.token : undefined
    assert.deepStrictEqual(secret && Redacted.value(secret), seedBytes)
  })

  it("can be taken out", () => {
    const without = Address.withoutSecrets(address)
    assert.isTrue(Equal.equals(without, one(`net:h:1~${name}:${key}`)))
    assert.strictEqual(Address.formatWithSecrets(without), `net:h:1~${name}:${key}`)
    assert.strictEqual(Address.withoutSecrets(without), without)
  })
})

// -----------------------------------------------------------------------------
// other authors' protocols
// -----------------------------------------------------------------------------

describe("a section of another author's protocol", () => {
  const zip = Address.section("zip", Schema.FiniteFromString)

  it("is decoded by its own codec, and encoded", () => {
    const [section] = one("net:h:1~zip:9").transforms
    assert.strictEqual(Schema.decodeUnknownSync(zip)(section), 9)
    assert.isTrue(Equal.equals(Schema.encodeSync(zip)(9), section))
    const bare = Address.section("zip", Schema.Literal(""))
    assert.strictEqual(Schema.decodeUnknownSync(bare)(one("net:h:1~zip").transforms[0]), "")
    assert.isTrue(Equal.equals(Schema.encodeSync(bare)(""), one("net:h:1~zip").transforms[0]))
  })

  it("is kept as it was, with what needs escapes", () => {
    const text = Address.section("zip", Schema.String)
    const section = Schema.encodeSync(text)("a~b!c:d~")
    const address = one("net:h:1").with(section)
    assert.strictEqual(String(address), "net:h:1~zip:a!~b!!c:d!~")
    assert.strictEqual(Schema.decodeUnknownSync(text)(one(String(address)).transforms[0]), "a~b!c:d~")
  })

  it("is refused when it is another's or not in its codec's form, and when it can't be written", () => {
    const failure = (result: Result.Result<unknown, Schema.SchemaError>) => Result.getFailure(result)
    assert.match(
      util.inspect(failure(Schema.decodeUnknownResult(zip)(one("net:h:1~zap:9").transforms[0]))),
      /expected a section zip/
    )
    assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(zip)(one("net:h:1~zip:x").transforms[0])))
    assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(zip)(one("net:h:1~noauth").transforms[0])))
    const text = Address.section("zip", Schema.String)
    assert.isTrue(Result.isFailure(Schema.encodeResult(text)("a;b")))
    assert.isTrue(Result.isFailure(Schema.encodeResult(text)("a b")))
    assert.isTrue(Result.isFailure(Schema.encodeResult(Address.section("shs", Schema.String))("x")))
  })
})
