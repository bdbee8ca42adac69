/**
 * Addresses as somebody hostile writes them: a text is an address with one way to write it, or an error that points
 * into it.
 */
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Address from "../../src/Address.ts"
import * as Invite from "../../src/Invite.ts"
import { check, type Fuzzer } from "./fuzzer.ts"
import type { Random } from "./random.ts"

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")
const key = base64(Uint8Array.from({ length: 32 }, (_, i) => (i * 53 + 251) & 255))
const seed = base64(Uint8Array.from({ length: 32 }, (_, i) => (i * 89 + 7) & 255))

const hosts = [
  ...["h", "pub.example", "localhost", "H.Example.", "127.0.0.1", "0.0.0.0", "256.1.1.1", "0x7f.1", "1", "-", "_"],
  ...["::", "::1", "[::1]", "fe80::1%eth0", "::ffff:127.0.0.1", "1:2:3:4:5:6:7:8", "[", "]", "x.onion", "X.ONION.", ""],
  ...["bücher.example", "例え.jp", "xn--bcher-kva", "ｘ", "a..b", `${"a".repeat(64)}.b`, "a.".repeat(130)]
]
const ports = ["80", "443", "0", "1", "65535", "65536", "080", "0x50", "1e3", "+1", "-1", " 1", "", "8008 ", "٣"]
const paths = ["", "/", "/p?q=1", "/%2f%zz", "/a b", "//", "/#f", "/!~!;", "?q", "/%00", "/..;/", "/é", "\\"]
const keys = [
  ...[key, key.slice(0, -1), `@${key}.ed25519`, key.replaceAll("+", "-").replaceAll("/", "_"), key.slice(0, 20), ""],
  ...[`${key}=`, `${key.slice(0, 42)}B=`, key.toLowerCase(), "A".repeat(43), `${key} `, `${key}${key}`]
]

const sections: ReadonlyArray<(random: Random) => string> = [
  (random) => `net:${random.pick(hosts)}:${random.pick(ports)}`,
  (random) => `ws://${random.pick(hosts)}:${random.pick(ports)}${random.pick(paths)}`,
  (random) => `wss://${random.pick(hosts)}${random.pick(paths)}`,
  (random) => `onion:${random.pick([...hosts, "x.onion", "y.onion"])}:${random.pick(ports)}`,
  (random) => `unix:${random.pick(["/run/s", "a:b:c", "!~", "!!", "", ".", "/a b", "é", "\0"])}`,
  (random) => `${random.pick(["memory", "port"])}:${random.pick(["m", "", "a!~b"])}`,
  (random) => `shs:${random.pick(keys)}`,
  (random) => `shs:${key}:${random.pick([seed, seed.slice(0, -1), seed.slice(0, 9), ""])}`,
  (random) => `noauth${random.pick(["", ":", `:${key}`])}`,
  (random) =>
    `${random.pick(["zip", "__proto__", "constructor", "x-1.2", "é", "", "NET", "!net"])}${random.pick(["", ":", ":d"])}`,
  () => "shs"
]

const tokens = [
  ..."~!;:/?#[]%@=.-\\ \0\n\t\u007f\u00a0\u202e\ufeff\u2028",
  ...["é", "e\u0301", "😀", "\ud83d", "\ude00", "\u{10ffff}", "!~", "!!", "!;", "::", "~~", ";;", "//", "%00", "%7e"],
  ...["net:", "ws://", "shs:", key, `~shs:${key}`, ";net:h:1", "toString", "80"]
]

const written = (random: Random): string => {
  const address = () =>
    Array.from({ length: random.pick([1, 1, 2, 2, 2, 3, 9]) }, () => random.pick(sections)(random)).join("~")
  return Array.from({ length: random.pick([1, 1, 1, 1, 2, 3, 17]) }, address).join(";")
}

/** Mostly right, so that the changes to it are what decides. */
const valid = (random: Random): string => {
  const shs = `shs:${key}${random.oneIn(3) ? `:${seed}` : ""}`
  const transports = ["net:pub.example:8008", "net:::1:80", "ws://h.example/p?q", "wss://[::1]:444", "unix:/a!~b:c"]
  const address = () =>
    `${random.pick([...transports, "onion:x.onion:80", "memory:m"])}~${random.pick([shs, shs, "noauth"])}`
  return Array.from({ length: random.pick([1, 1, 2, 16]) }, address).join(";")
}

const changed = (random: Random, text: string): string => {
  let out = text
  for (let left = random.pick([0, 1, 1, 2, 4]); left > 0; left--) {
    const at = random.below(out.length + 1)
    const token = random.pick(tokens)
    out =
      out.slice(0, at) +
      random.pick([token, "", String.fromCharCode(random.below(0x10000))]) +
      out.slice(at + random.below(3))
  }
  return out
}

const soup = (random: Random): string => Array.from({ length: random.below(12) }, () => random.pick(tokens)).join("")

const long = (random: Random): string => random.pick(tokens).repeat(random.pick([1000, 5000, 40_000]))

const text = (random: Random): string => {
  switch (random.below(16)) {
    case 0:
      return soup(random)
    case 1:
      return Buffer.from(random.bytes(random.below(60))).toString(random.pick(["latin1", "utf8", "utf16le"]))
    case 2:
      return random.oneIn(20) ? `${valid(random)}${long(random)}` : soup(random)
    case 3:
    case 4:
    case 5:
    case 6:
      return changed(random, written(random))
    default:
      return changed(random, valid(random))
  }
}

const holdsSeed = (shown: string): boolean => shown.includes(seed.slice(0, 16)) || shown.includes(seed.slice(20, 40))

const checkError = (error: Address.AddressError, text: string): string => {
  const { offset } = error.reason
  check(error instanceof Address.AddressError, () => "another error than AddressError")
  check(Number.isInteger(offset) && offset >= 0 && offset <= text.length, () => `offset ${offset} of ${text.length}`)
  check(!holdsSeed(`${error.message}${JSON.stringify(error)}`), () => "the error shows the seed")
  return error.reason._tag
}

const readAndWritten = (addresses: Address.MultiAddress): void => {
  const again = Address.formatWithSecrets(addresses)
  const read = Address.parse(again)
  check(Result.isSuccess(read), () => `what was read is written as ${JSON.stringify(again)}, which is not`)
  if (Result.isFailure(read)) return
  check(
    Equal.equals(read.success, addresses),
    () => `read, written and read it is another one: ${JSON.stringify(again)}`
  )
  check(Address.formatWithSecrets(read.success) === again, () => `written in two ways: ${JSON.stringify(again)}`)
  for (const address of again.split(";")) {
    check(Buffer.byteLength(address) <= Address.maxAddressBytes, () => "longer than an address may be")
  }
}

const countOf = (text: string, part: string): number => text.split(part).length - 1

/** Printed, the seeds of its shs sections are missing, and nothing else: the same characters elsewhere are no seed. */
const checkPrinted = (address: Address.Address): void => {
  const seeds = address.transforms.flatMap((section) =>
    section._tag === "shs" && section.seed !== undefined ? [base64(Redacted.value(section.seed))] : []
  )
  const written = Address.formatWithSecrets(address)
  for (const own of seeds) {
    const elsewhere = countOf(written, own) - seeds.filter((other) => other === own).length
    check(countOf(Address.format(address), own) === elsewhere, () => "printed with its seed")
    check(countOf(JSON.stringify(address), own) === elsewhere, () => "its JSON shows the seed")
  }
}

/** Not whether it is right, which its own tests say: that it is an invite or an error. */
const invite = (text: string): string => {
  const read = Invite.parse(text)
  return Result.isSuccess(read) ? "an invite" : `no invite: ${checkError(read.failure, text)}`
}

export const address: Fuzzer = {
  name: "address",
  reaches: [
    "an address",
    "with a seed",
    "Syntax",
    "BadHost",
    "BadPort",
    "BadPath",
    "BadKey",
    "BadSeed",
    "TooLong",
    "an invite"
  ],
  run: (random, { input: show, saw }) => {
    const input = text(random)
    show(() => JSON.stringify(input))
    if (random.oneIn(8)) {
      saw(invite(input))
      return 1
    }
    const read = Address.parse(input)
    if (Result.isFailure(read)) {
      saw(checkError(read.failure, input))
      return 1
    }
    readAndWritten(read.success)
    if (read.success.some(Address.hasSecret)) {
      saw("with a seed")
      for (const address of read.success) checkPrinted(address)
    } else {
      saw("an address")
    }
    return 1
  }
}
