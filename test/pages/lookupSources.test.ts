/** docs/lookup-lan.md and docs/lookup-hyperdht.md show what `test/Lan.test.ts` and `test/hyperdht` run. */
import { assert, describe, it } from "@effect/vitest"
import * as lan from "../../src/lan/announcements.ts"
import * as datagram from "../../src/lan/datagram.ts"
import { blocksOf, read, shown } from "./page.ts"

describe.each(["docs/lookup-lan.md", "docs/lookup-hyperdht.md"])("%s", (page) => {
  it("shows its example", () => {
    const blocks = blocksOf(page).filter(({ language }) => language === "ts")
    assert.isNotEmpty(blocks)
    for (const { name, text } of blocks) assert.strictEqual(text, shown(name), name)
  })
})

describe("docs/lookup-lan.md", () => {
  it("has the limits of the code", () => {
    const text = read("docs/lookup-lan.md")
    assert.include(text, `| a datagram | ${datagram.maxBytes.toLocaleString("en")} bytes |`)
    assert.include(text, `| new datagrams of one sender | ${lan.maxNewOfSender} a second |`)
    assert.include(text, `| new datagrams of all senders | ${lan.maxNew} a second |`)
    assert.include(text, `| senders that are remembered | ${lan.maxSenders} |`)
    assert.include(text, `| peers of one sender | ${lan.maxPeers} |`)
  })
})
