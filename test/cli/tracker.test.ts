/** `multiserver tracker`, `record`, and the flags by which peers are found and publish. */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { shellWord } from "../../src/cli/shell.ts"
import { inside, startInside } from "./inside.ts"
import { eventsOf, folder, run, start } from "./support.ts"

const keyOf = (address: string): string => /~shs:([^;]+)$/.exec(address)?.[1] ?? ""

describe("a tracker, a listener and who looks for it, as processes", () => {
  it.live("a peer is found by its key; SIGTERM drains all of them", () =>
    Effect.gen(function* () {
      const tracker = yield* start(["tracker", "--json", "net:127.0.0.1:0~shs"])
      const at = yield* tracker.address
      const listener = yield* start([
        "listen",
        "--json",
        "--echo",
        "net:127.0.0.1:0~shs",
        "--tracker",
        at,
        "--scope",
        "device"
      ])
      const address = yield* listener.address
      const published = yield* listener.event("published")
      assert.deepStrictEqual(published.addresses, [address])
      const peer = `peer:${keyOf(address)}`
      const flags = ["--tracker", at, "--follow-private"]

      const probed = yield* run(["probe", "--json", peer, ...flags])
      assert.strictEqual(probed.code, 0, probed.stderr)
      assert.deepInclude(JSON.parse(String(probed.stdout)), { reached: true, peer: keyOf(address), remote: address })
      const { code, stdout } = yield* run(["connect", peer, ...flags], { input: "hello" })
      assert.deepStrictEqual([code, String(stdout)], [0, "hello"])

      // Both have open connections: the listener its own to the tracker.
      yield* tracker.kill("SIGTERM")
      const stopped = yield* tracker.exit
      assert.strictEqual(stopped.code, 0, stopped.stderr)
      const reasons = eventsOf(stopped.stderr).filter(({ event }) => event === "closed")
      assert.isTrue(reasons.every(({ reason }) => reason === "end" || reason === "closed"))
      yield* listener.kill("SIGTERM")
      assert.strictEqual((yield* listener.exit).code, 0)
    })
  )
})

describe("within one process", () => {
  it.live("a bridge dials a peer by its key, for each connection", () =>
    Effect.gen(function* () {
      const tracker = yield* startInside(["tracker", "--json", "net:127.0.0.1:0~shs"])
      const at = yield* tracker.address
      const flags = ["--tracker", at, "--scope", "device"]
      const listener = yield* startInside(["listen", "--json", "--echo", "net:127.0.0.1:0~shs", ...flags])
      const address = yield* listener.address
      yield* listener.event("published")
      const bridge = yield* startInside([
        "bridge",
        "--json",
        "net:127.0.0.1:0",
        `peer:${keyOf(address)}`,
        "--tracker",
        at,
        "--follow-private"
      ])
      const { code, stdout } = yield* inside(["connect", yield* bridge.address], { input: "hello" })
      assert.deepStrictEqual([code, String(stdout)], [0, "hello"])
    })
  )

  it.live("record prints a record, which --records reads; without --follow-private no private IP is dialed", () =>
    Effect.gen(function* () {
      const place = yield* folder
      const key = `${place}/secret`
      assert.strictEqual((yield* inside(["keygen", "--output", key])).code, 0)
      const listener = yield* startInside(["listen", "--json", "--echo", "net:127.0.0.1:0~shs", "--key-file", key])
      const address = yield* listener.address
      const made = yield* inside(["record", address, "--key-file", key, "--validity", "10m"])
      assert.strictEqual(made.code, 0, made.stderr)
      assert.match(String(made.stdout), /^[A-Za-z0-9+/]+=*\n$/)
      fs.writeFileSync(`${place}/records`, `# my peers\n\n${made.stdout}`)
      const probe = ["probe", `peer:${keyOf(address)}`, "--records", `${place}/records`]
      assert.strictEqual((yield* inside([...probe, "--follow-private"])).code, 0)
      const denied = yield* inside([...probe, "--json"])
      assert.strictEqual(denied.code, 2)
      assert.strictEqual(eventsOf(denied.stderr).at(-1)?.reason, "DeniedByPolicy")
      const unknown = yield* inside([
        "probe",
        "peer:ZMYOtahB0BwspMdkuFCoQdBWRKXlTZaoWkL/CbL34qI=",
        "--records",
        `${place}/records`
      ])
      assert.strictEqual(unknown.code, 3)
    })
  )

  const key = "ZMYOtahB0BwspMdkuFCoQdBWRKXlTZaoWkL/CbL34qI="
  it.live.each([
    [`probe peer:${key}`, "MissingArgument", "--tracker ADDRESS or --records FILE"],
    [`connect peer:${key}`, "MissingArgument", "--tracker ADDRESS or --records FILE"],
    [`bridge net:127.0.0.1:0 peer:${key}`, "MissingArgument", "--tracker ADDRESS or --records FILE"],
    [`probe net:127.0.0.1:1 --tracker net:127.0.0.1:1~shs:${key}`, "Conflict", "peer:KEY"],
    ["connect net:127.0.0.1:1 --records file", "Conflict", "peer:KEY"],
    ["bridge net:127.0.0.1:0 net:127.0.0.1:1 --follow-private", "Conflict", "peer:KEY"],
    ["tracker net:127.0.0.1:0", "Conflict", "~shs or ~noise"],
    [`probe peer:${key} --tracker net:127.0.0.1:1`, "Conflict", "proves no key"],
    ["listen --echo net:127.0.0.1:0~shs --tracker net:127.0.0.1:1", "Conflict", "proves no key"],
    [`record net:127.0.0.1:1~shs:${key}`, "MissingArgument", "--key-file"]
  ])("%s is %s", ([line = "", reason = "", says]) =>
    Effect.gen(function* () {
      const { code, stderr } = yield* inside([...line.split(" "), "--json"])
      assert.strictEqual(code, 2)
      const error = eventsOf(stderr).at(-1)
      assert.deepInclude(error, { event: "error", tag: "UsageError", reason })
      assert.include(error?.message, says)
    })
  )

  it.live("record refuses an address that does not lead to its key", () =>
    Effect.gen(function* () {
      const file = `${yield* folder}/secret`
      yield* inside(["keygen", "--output", file])
      for (const address of [`net:127.0.0.1:1~shs:${key}`, "net:127.0.0.1:1"]) {
        const { code, stderr } = yield* inside(["record", address, "--key-file", file])
        assert.strictEqual(code, 2)
        assert.include(stderr, "address number 1 does not lead to the key that signs")
      }
    })
  )

  it.live("a tracker says how it is used", () =>
    Effect.gen(function* () {
      const tracker = yield* startInside(["tracker", "net:127.0.0.1:0~shs"])
      const [listening = "", ...how] = yield* tracker.lines(3)
      const at = shellWord(listening.replace("listening on ", ""))
      assert.deepStrictEqual(how, [
        `peers publish with: multiserver listen --tracker ${at} ADDRESS`,
        `and are found with: multiserver connect --tracker ${at} peer:KEY`
      ])
    })
  )

  it.live("a listener without a public address says that it publishes none", () =>
    Effect.gen(function* () {
      const listener = yield* startInside([
        "listen",
        "--json",
        "--echo",
        "net:127.0.0.1:0~shs",
        "--tracker",
        `net:127.0.0.1:1~shs:${key}`
      ])
      assert.include((yield* listener.event("warning")).message, "no address is published")
    })
  )
})
