/** What is remembered of a network in which some say too much. */
import { assert, describe, it } from "@effect/vitest"
import type { PublicKey } from "../../src/Identity.ts"
import { Announcements, maxNew, maxNewOfSender, maxPeers, maxSenders, type Read } from "../../src/lan/announcements.ts"
import * as Interfaces from "../../src/lan/interfaces.ts"

const remember = 10_000

/** The key of a number. It needs not be one that somebody could have. */
const keyOf = (number: number): PublicKey => {
  const key = new Uint8Array(32)
  new DataView(key.buffer).setUint32(0, number)
  return key as PublicKey
}

/** Reads a datagram of four bytes as an announcement of the key of that number. */
const reading =
  (isSigned: boolean, onRead: () => void = () => {}): Read =>
  (bytes, sender) => {
    onRead()
    const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
    return { publicKey: keyOf(number), addresses: [`net:${sender}:${number}`], isSigned }
  }

const bytesOf = (number: number): Uint8Array => keyOf(number).slice(0, 4)

describe("Announcements", () => {
  it("remembers for a while, as long as it hears the same again, and does not check it twice", () => {
    const all = new Announcements(remember)
    let checked = 0
    const hear = (now: number) =>
      all.hear(
        bytesOf(1),
        "10.0.0.1",
        reading(true, () => checked++),
        now
      )
    hear(0)
    hear(9000)
    assert.strictEqual(all.of(keyOf(1), 18_999).length, 1)
    assert.strictEqual(all.of(keyOf(1), 19_000).length, 0)
    assert.strictEqual(checked, 1)
    hear(19_000)
    assert.strictEqual(checked, 2)
  })

  it("looks at so much of one sender in a second, and of all, and still hears whom it knows", () => {
    const all = new Announcements(remember)
    let checked = 0
    const read = reading(true, () => checked++)
    all.hear(bytesOf(0), "10.0.0.1", read, 0)
    for (let i = 1; i <= 1000; i++) all.hear(bytesOf(i), "10.0.0.2", read, 1)
    assert.strictEqual(checked, 1 + maxNewOfSender)
    for (let i = 1; i <= 1000; i++) all.hear(bytesOf(i), `10.0.1.${i % 256}`, read, 2)
    assert.strictEqual(checked, maxNew)
    assert.isDefined(all.hear(bytesOf(0), "10.0.0.1", read, 999))
    assert.strictEqual(checked, maxNew)
    assert.isUndefined(all.hear(bytesOf(5000), "10.0.0.1", read, 999))
    assert.isDefined(all.hear(bytesOf(5000), "10.0.0.1", read, 1000))
  })

  it("remembers so many peers of a sender, and so many senders; those who are known stay", () => {
    const all = new Announcements(remember)
    const read = reading(true)
    // A second apart, so that none is one too many.
    for (let i = 0; i <= maxPeers; i++) all.hear(bytesOf(i), "10.0.0.1", read, i)
    assert.strictEqual(all.size, maxPeers)
    assert.deepStrictEqual([all.of(keyOf(0), 100).length, all.of(keyOf(1), 100).length], [0, 1])
    let now = 1000
    for (let i = 1; i < maxSenders + 10; i++) {
      if (i % 100 === 0) now += 1000
      all.hear(bytesOf(100_000 + i), `10.1.${i >> 8}.${i & 255}`, read, now)
    }
    assert.strictEqual(all.size, maxPeers + maxSenders - 1)
    // A newcomer is heard by those who wait for it, but not remembered until there is room.
    assert.isDefined(all.hear(bytesOf(9), "10.9.9.9", read, now + 1000))
    assert.strictEqual(all.of(keyOf(9), now + 1000).length, 0)
    all.hear(bytesOf(9), "10.9.9.9", read, now + remember + 1)
    assert.strictEqual(all.of(keyOf(9), now + remember + 1).length, 1)
    assert.strictEqual(all.size, 1)
  })

  it("gives what is signed first, then what was heard last, and lets nothing unsigned replace it", () => {
    const all = new Announcements(remember)
    all.hear(bytesOf(1), "10.0.0.1", reading(true), 0)
    all.hear(bytesOf(1), "10.0.0.2", reading(false), 1)
    all.hear(bytesOf(1), "10.0.0.3", reading(false), 2)
    const other = Uint8Array.of(...bytesOf(1), 0)
    all.hear(other, "10.0.0.1", reading(false), 3)
    assert.deepStrictEqual(
      all.of(keyOf(1), 4).map(({ addresses }) => addresses[0]),
      ["net:10.0.0.1:1", "net:10.0.0.3:1", "net:10.0.0.2:1"]
    )
    assert.isTrue(all.of(keyOf(1), 4)[0]?.isSigned)
    all.hear(other, "10.0.0.1", reading(false), remember)
    assert.deepStrictEqual(
      all.of(keyOf(1), remember).map(({ isSigned }) => isSigned),
      [false, false, false]
    )
  })

  it("looks at no datagram that is too long", () => {
    const all = new Announcements(remember)
    const never = reading(true, () => assert.fail("it was read"))
    assert.isUndefined(all.hear(new Uint8Array(1473), "10.0.0.1", never, 0))
  })
})

describe("the interfaces", () => {
  it("say where everybody is reached, and who is everybody", () => {
    const home = Interfaces.make("192.168.1.7", "255.255.255.0")
    assert.strictEqual(home.broadcast, "192.168.1.255")
    assert.isTrue(home.contains("192.168.1.200"))
    assert.isFalse(home.contains("192.168.2.200"))
    assert.strictEqual(Interfaces.make("10.200.3.4", "255.128.0.0").broadcast, "10.255.255.255")
    assert.strictEqual(Interfaces.make("127.0.0.1", "255.0.0.0").broadcast, "127.255.255.255")
    for (const small of ["255.255.255.254", "255.255.255.255"]) {
      assert.isUndefined(Interfaces.make("10.0.0.1", small).broadcast)
    }
  })

  it("are read again after a while, and nobody with a public IP is a neighbour", () => {
    let interfaces = [Interfaces.make("192.168.1.7", "255.255.255.0"), Interfaces.make("203.0.113.7", "255.255.255.0")]
    const neighbours = new Interfaces.Neighbours(() => interfaces)
    assert.isTrue(neighbours.has("192.168.1.9", 0))
    assert.isFalse(neighbours.has("203.0.113.9", 0))
    assert.isFalse(neighbours.has("10.0.0.9", 0))
    interfaces = [Interfaces.make("10.0.0.7", "255.0.0.0")]
    assert.isFalse(neighbours.has("10.0.0.9", 4999))
    assert.isTrue(neighbours.has("10.0.0.9", 5000))
  })
})
