/** What somebody else has said, on its way to a terminal or a log. */
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Address from "../src/Address.ts"
import { ConnectionError, ProtocolViolation } from "../src/ConnectionError.ts"
import { formatLine } from "../src/cli/lines.ts"
import { AllFailed, DialError, NameNotFound, NotDialable, Proxy, Tls, Unreachable } from "../src/DialError.ts"
import { HandshakeDefect, HandshakeError, PeerMisbehaved } from "../src/HandshakeError.ts"
import { ListenError, Other } from "../src/ListenError.ts"
import { manyLines, oneLine, printable, printableJson } from "../src/printable.ts"
import { inside, listenInside } from "./cli/inside.ts"
import { privateCopy } from "./cli/support.ts"

/**
 * A title of the terminal, a bell, a line of its own, C1's own beginning of a sequence, and text that runs backwards.
 */
const evil = "\u001b]0;owned\u0007\r\nerror: all is well\u009b2J\u202egnp.exe\u2028\ud800"
/** What a terminal obeys, or what makes two lines of one. */
const harmful = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u

describe("text from outside", () => {
  it("is shown on one line, without what a terminal obeys, and cut when it is long", () => {
    assert.notMatch(printable(evil), harmful)
    assert.include(printable(evil), "\\u{1b}]0;owned\\u{7}\\u{d}\\u{a}error: all is well\\u{9b}2J\\u{202e}gnp.exe")
    for (const text of ["plain", "münchen.example", "漢字 😀", "", "a\\b"]) assert.strictEqual(printable(text), text)
    assert.isAtMost(printable("x".repeat(1_000_000)).length, 1001)
    assert.strictEqual(oneLine("x".repeat(5000)).length, 5000)
    assert.notMatch(manyLines(evil).replace("\n", ""), harmful)
    assert.strictEqual(manyLines("two\nlines"), "two\nlines")
  })

  it("is the same in JSON, with all of that escaped", () => {
    const value = { evil, tag: "\u{e0041}", list: [evil] }
    assert.notMatch(printableJson(value), harmful)
    assert.deepStrictEqual(JSON.parse(printableJson(value)), value)
  })

  it("is so in every error that may hold it", () => {
    const reasons = [
      new Tls({ code: "ERR_TLS_CERT_ALTNAME_INVALID", detail: evil, isRetryable: false }),
      new Proxy({ detail: evil, isRetryable: false }),
      new NotDialable({ detail: evil }),
      new NameNotFound({ host: evil, code: "ENOTFOUND" }),
      new Unreachable({ code: evil }),
      new HandshakeError({ protocol: "shs", phase: evil, reason: new PeerMisbehaved({ detail: evil }) }),
      new HandshakeError({ protocol: "own", phase: "hello", reason: new HandshakeDefect({ cause: new Error(evil) }) })
    ]
    const errors = [
      ...reasons.map((reason) => new DialError({ address: "net:h:1", reason })),
      new ConnectionError({ remote: "net:h:1", reason: new ProtocolViolation({ detail: evil }) }),
      new ListenError({ address: "net:h:1", reason: new Other({ code: evil, detail: evil, isRetryable: false }) })
    ]
    for (const { message } of errors) {
      assert.notMatch(message, harmful)
      assert.include(message, "owned")
    }
    // Of several addresses, each has a line.
    const attempts = reasons.map((reason) => ({ address: "net:h:1", reason }))
    const all = new DialError({ address: "net:h:1", reason: new AllFailed({ attempts }) })
    assert.lengthOf(all.message.split("\n"), 1 + reasons.length)
    assert.notMatch(all.message.replaceAll("\n", ""), harmful)
  })

  it("is so in every event that the command says", () => {
    const common = { role: "listen", address: evil, stack: evil, source: evil, millis: 1 } as const
    const what = { bytesRead: 1, bytesWritten: 1, reason: evil }
    for (const line of [
      formatLine({ event: "connected", id: 1, ...common, peer: null }),
      formatLine({ event: "closed", id: 1, ...common, ...what, peer: null }),
      formatLine({ event: "refused", source: evil, stack: evil, reason: evil, count: 1 }),
      formatLine({ event: "fallback", address: evil, from: evil, next: evil, to: evil, reason: evil, message: "evil" }),
      formatLine({ event: "created", file: evil, key: "" })
    ]) {
      assert.notMatch(line, harmful)
    }
    assert.notMatch(formatLine({ event: "log", level: "Info", message: evil }).replaceAll("\n", ""), harmful)
  })

  it.live("a certificate's name is so on the terminal", () =>
    Effect.gen(function* () {
      const evilFile = (name: string) => fileURLToPath(new URL(`./fixtures/tls/evil.${name}`, import.meta.url))
      const target = "wss://localhost:0~shs"
      const { address } = yield* listenInside(
        target,
        "--tls-key",
        yield* privateCopy(evilFile("key")),
        "--tls-cert",
        evilFile("crt")
      )
      for (const json of [[], ["--json"]]) {
        const { code, stderr } = yield* inside([
          "connect",
          ...json,
          "--timeout",
          "1h",
          "--tls-ca",
          evilFile("crt"),
          address
        ])
        assert.strictEqual(code, 5)
        assert.notMatch(stderr.replaceAll("\n", ""), harmful)
        assert.include(stderr, "owned")
      }
    })
  )

  it("an address has none of it, whatever the text", () => {
    assert.isTrue(Address.parse(`net:h:1~x:${evil}`)._tag === "Failure")
  })
})
