/** Which web pages get in. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Rules, refusal } from "../../src/ws/origin.ts"
import type * as WebSocket from "../../src/ws/WebSocket.ts"
import { echo, served } from "../support/servers.ts"
import { portOf, status } from "./plain.ts"
import { multiserver } from "./support.ts"

/** What a real listener answers to an upgrade with these headers. */
const answer = (target: string, options: WebSocket.Options, headers: Record<string, string>) =>
  Effect.gen(function* () {
    const [address] = yield* served(target, echo)
    return yield* status(portOf(address), { headers })
  }).pipe(Effect.scoped, Effect.provide(multiserver({}, {}, options)))

const bare = "ws://127.0.0.1:0"
const noauth = "ws://127.0.0.1:0~noauth"
const shs = "ws://127.0.0.1:0~shs"
const page = "https://app.example"

describe("the origin of a connection", () => {
  const cases: ReadonlyArray<readonly [string, string, WebSocket.Options, Record<string, string>, number]> = [
    ["without one, which is no page, may connect", noauth, {}, {}, 101],
    ["of a page is refused where nothing authenticates", noauth, {}, { origin: page }, 403],
    ["of a page is refused over a bare ws", bare, {}, { origin: page }, 403],
    ["of a file or a sandbox (null) is refused where nothing authenticates", noauth, {}, { origin: "null" }, 403],
    ["of a page on this very machine is refused too", noauth, {}, { origin: "http://localhost:3000" }, 403],
    ["of a page may be anything where the stack authenticates", shs, {}, { origin: page }, 101],
    ["on the list may connect", noauth, { origins: [page] }, { origin: page }, 101],
    ["not on the list is refused", noauth, { origins: [page] }, { origin: "https://app.example.evil.example" }, 403],
    ["null is refused when only others are on the list", noauth, { origins: [page] }, { origin: "null" }, 403],
    [
      "not on the list is refused also where the stack authenticates",
      shs,
      { origins: [page] },
      { origin: "null" },
      403
    ],
    ["may be anything when it is said so", noauth, { origins: "any" }, { origin: page }, 101]
  ]
  for (const [name, target, options, headers, expected] of cases) {
    it.live(name, () => Effect.map(answer(target, options, headers), (got) => assert.strictEqual(got, expected)))
  }
})

describe("the name by which a loopback listener is called", () => {
  const cases: ReadonlyArray<readonly [string, string, WebSocket.Options, string, number]> = [
    ["is refused when a page has made its own of 127.0.0.1", noauth, { origins: "any" }, "rebound.example:8080", 403],
    ["may be anything where the stack authenticates", shs, {}, "proxied.example", 101],
    ["may be localhost", noauth, {}, "localhost:1", 101],
    ["may be ::1", noauth, {}, "[::1]:1", 101],
    ["may be one that is on the list", noauth, { hosts: ["proxied.example"] }, "proxied.example:443", 101],
    ["may be none that is not on the list", noauth, { hosts: ["proxied.example"] }, "localhost", 403]
  ]
  for (const [name, target, options, host, expected] of cases) {
    it.live(name, () => Effect.map(answer(target, options, { host }), (got) => assert.strictEqual(got, expected)))
  }

  it("is read whatever its port and its brackets are", () => {
    const rules: Rules = { origins: "any", hosts: "loopback" }
    const names = ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8989", "[::1]", "[::1]:8989", "127.9.9.9"]
    for (const host of names) assert.isUndefined(refusal(rules, { origin: undefined, host }), host)
    const others = [undefined, "", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"]
    for (const host of others) assert.strictEqual(refusal(rules, { origin: undefined, host }), "Host", host)
  })
})
