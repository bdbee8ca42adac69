import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { Browser } from "puppeteer-core"
import * as AppKey from "../../src/AppKey.ts"
import * as Connection from "../../src/Connection.ts"
import * as Identity from "../../src/Identity.ts"
import { folder, listen } from "../cli/support.ts"
import { identity } from "../interop/setup.ts"
import * as ChildPeer from "../support/childPeer.ts"
import { primitives } from "../support/primitives.ts"
import { echo } from "../support/servers.ts"
import { base64 } from "../support/vectors.ts"
import { piece, pieceBytes } from "./clients/pieces.ts"
import { isMissing } from "./support/browsers.ts"
import { connecting, join } from "./support/page.ts"
import { expected, listening, MiB, unusedPort } from "./support/peers.ts"

/** npm multiserver, which echoes over `ws~shs`. */
const npm = Effect.gen(function* () {
  const { next, tell } = yield* ChildPeer.start(new URL("../ws/peers/multiserver.mjs", import.meta.url))
  const { seed } = identity(103)
  const appKey = base64(Redacted.value(AppKey.mainNetwork))
  yield* tell({ serve: { stack: "ws~shs", reply: "stream", seed, appKey } })
  const { address } = yield* next("listening")
  return { address, exchanged: next("exchanged") }
})

/** The resident memory of all processes of a browser, from now on. */
const memoryOf = (browser: Browser) =>
  Effect.gen(function* () {
    const session = yield* Effect.promise(() => browser.target().createCDPSession())
    const { processInfo } = yield* Effect.promise(() => session.send("SystemInfo.getProcessInfo"))
    const pids = processInfo.map(({ id }) => id)
    const kilobytes = (pid: number, field: string) => {
      // Some of them end by themselves, such as those that a browser keeps for a while.
      const status = Result.try(() => fs.readFileSync(`/proc/${pid}/status`, "utf8"))
      if (Result.isFailure(status)) return 0
      return Number(new RegExp(`^${field}:\\s*(\\d+) kB`, "m").exec(status.success)?.[1])
    }
    const before = pids.map((pid) => {
      fs.writeFileSync(`/proc/${pid}/clear_refs`, "5")
      return { pid, resident: kilobytes(pid, "VmRSS") }
    })
    assert.isAbove(Math.max(...before.map(({ resident }) => resident)), 0, "nothing was measured")
    /** By how much it has grown at most. */
    const grown = () =>
      before.reduce((sum, { pid, resident }) => sum + Math.max(0, kilobytes(pid, "VmHWM") - resident), 0) * 1024
    return { grown }
  })

const keyFile = Effect.map(folder, (directory) => {
  const file = path.join(directory, "key")
  const pair = Identity.fromSeed(primitives, Redacted.make(primitives.random(32)))
  fs.writeFileSync(file, Identity.formatSecretFile(pair), { mode: 0o600 })
  return file
})

const truncated = { tag: "Truncated", isRetryable: true }

/** What every browser does. */
const basics = (tab: ReturnType<typeof connecting>, size: number) => {
  it.live(
    "echoes every byte with npm multiserver over ws~shs, and with ours over ws~shs, ws~noise and ws~noisepq",
    () =>
      Effect.gen(function* () {
        const { call } = yield* tab
        const theirs = yield* npm
        const ours = yield* Effect.forEach(["ws~shs", "ws~noise", "ws~noisepq"], (stack) => listening(stack, echo))
        for (const address of [theirs.address, ...ours]) {
          assert.deepStrictEqual(yield* call("echo", address, size), expected(size))
        }
        const { error, received } = yield* theirs.exchanged
        assert.deepStrictEqual({ error, received }, { error: null, received: expected(size) })
      })
  )

  it.live("says in typed errors that the key is another one, and that nobody listens", () =>
    Effect.gen(function* () {
      const { call } = yield* tab
      const address = yield* listening("ws~shs", echo)
      const other = address.replace(/shs:.*/, `shs:${identity(7).publicKey}`)
      assert.deepInclude(yield* call("refusal", other), { tag: "HandshakeError: Rejected", isRetryable: false })
      const { message, tag } = yield* call(
        "refusal",
        `ws://127.0.0.1:${yield* unusedPort}~shs:${identity(7).publicKey}`
      )
      assert.strictEqual(tag, "Unreachable", message)
    })
  )

  it.live("fails both ways when the server is killed in the middle of a transfer, and reconnects by a Schedule", () =>
    Effect.gen(function* () {
      const own = yield* tab
      const { call } = own
      const key = yield* keyFile
      const { address, listener } = yield* listen("--echo", "--key-file", key, "ws://127.0.0.1:0~shs")
      yield* call("start", "survive", address, 100_000)
      yield* call("carried", MiB)
      yield* listener.kill("SIGKILL")
      // It has dialed while nobody listened.
      yield* call("refusals", 1)
      const again = yield* listen("--echo", "--key-file", key, address.replace(/(~shs).*/, "$1"))
      assert.strictEqual(again.address, address)
      const { broken, received } = yield* join(own, "survive")
      assert.deepStrictEqual(broken, { ends: [truncated, truncated], closed: "Truncated" })
      assert.deepStrictEqual(received, expected(100_000))
    })
  )
}

describe.skipIf(isMissing("Firefox", "connections in Firefox"))("a page in Firefox", () =>
  basics(connecting("Firefox"), MiB)
)

describe.skipIf(isMissing("Chromium", "connections in Chromium"))("a page in Chromium", () => {
  const tab = connecting("Chromium")
  basics(tab, 4 * MiB)

  it.live.skipIf(process.env.ONLY_LOOPBACK !== "yes")("has a network with only loopback", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(Object.keys(os.networkInterfaces()), ["lo"])
      const { call } = yield* tab
      const { tag } = yield* call("refusal", `ws://192.0.2.1:8989~shs:${identity(7).publicKey}`)
      assert.strictEqual(tag, "Unreachable")
    })
  )

  it.live("is under a Content Security Policy that lets it do nothing but dial", () =>
    Effect.gen(function* () {
      const { page } = yield* tab
      const said = yield* Effect.promise(() =>
        page.evaluate(`new Promise((resolve) => {
          document.addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective))
          fetch("/other").catch(() => {})
        })`)
      )
      assert.strictEqual(said, "connect-src")
    })
  )

  it.live("ends a connection that nobody reads with Overflow at 16 MiB, and takes no more memory", () =>
    Effect.gen(function* () {
      const own = yield* tab
      const told = Deferred.makeUnsafe<string>()
      let written = 0
      const address = yield* listening("ws~noise", ({ write }) =>
        Effect.gen(function* () {
          while (written < 300 * MiB) {
            yield* write(piece(0))
            written += pieceBytes
          }
        }).pipe(Effect.catch(({ reason }) => Deferred.succeed(told, reason.message)))
      )
      const memory = yield* memoryOf(own.page.browser())
      const { bytes, message, read, tag } = yield* own.call("unread", address)
      const grown = memory.grown()
      console.log(`MEASURED: unread ${bytes}, written ${written}, Chromium grew by ${grown}`)
      assert.deepStrictEqual({ tag, read }, { tag: "Overflow", read: { tag: "Overflow", isRetryable: false } })
      assert.match(message, /more than 16777216 bytes .* raise maxUnread/)
      // What had arrived can be read.
      assert.isAbove(bytes, 15 * MiB)
      assert.isBelow(bytes, 17 * MiB)
      assert.match(yield* Deferred.await(told), /WS_4000|EPIPE/)
      assert.isBelow(written, 64 * MiB)
      // It keeps 16 MiB, some of them in memory that it had already.
      assert.isBelow(grown, 96 * MiB)
    })
  )

  it.live("waits with its writes for a peer that reads nothing, and goes on when it does", () =>
    Effect.gen(function* () {
      const own = yield* tab
      const reading = Deferred.makeUnsafe<void>()
      const received = Deferred.makeUnsafe<number>()
      const address = yield* listening("ws", (far) =>
        Effect.gen(function* () {
          yield* Deferred.await(reading)
          let bytes = 0
          yield* Connection.forEachChunk(far, ({ length }) =>
            Effect.sync(() => {
              bytes += length
            })
          )
          yield* Deferred.succeed(received, bytes)
        })
      )
      const memory = yield* memoryOf(own.page.browser())
      yield* own.call("start", "flood", address, 300 * MiB)
      yield* own.call("full")
      const written = yield* own.call("written")
      const grown = memory.grown()
      console.log(`MEASURED: written to a peer that does not read ${written}, Chromium grew by ${grown}`)
      assert.isBelow(written, 32 * MiB)
      assert.isBelow(grown, 48 * MiB)
      yield* own.call("stop")
      yield* Deferred.succeed(reading, undefined)
      const sent = yield* join(own, "flood")
      assert.strictEqual(yield* Deferred.await(received), sent)
    })
  )

  it.live("has lost its connection when it comes back from being frozen, is told so, and reconnects", () =>
    Effect.gen(function* () {
      const own = yield* tab
      const address = yield* listening("ws~shs", echo)
      yield* own.call("start", "survive", address, 100_000)
      yield* own.call("carried", MiB)
      const session = yield* Effect.promise(() => own.page.createCDPSession())
      const become = (state: "active" | "frozen") =>
        Effect.promise(() => session.send("Page.setWebLifecycleState", { state }))
      yield* become("frozen")
      yield* become("active")
      const { broken, received } = yield* join(own, "survive")
      assert.deepStrictEqual(broken, { ends: [truncated, truncated], closed: "Truncated" })
      assert.deepStrictEqual(received, expected(100_000))
    })
  )

  it.live("goes on in the background", () =>
    Effect.gen(function* () {
      const own = yield* tab
      const front = yield* Effect.acquireRelease(
        Effect.promise(() => own.page.browser().newPage()),
        (other) => Effect.promise(() => other.close().then(() => own.page.bringToFront()))
      )
      yield* Effect.promise(() => front.bringToFront())
      assert.strictEqual(yield* own.call("visibility"), "hidden")
      const address = yield* listening("ws~shs", echo)
      assert.deepStrictEqual(yield* own.call("echo", address, 2 * MiB), expected(2 * MiB))
    })
  )

  it.live("can't dial while it is offline, and can afterwards", () =>
    Effect.gen(function* () {
      const own = yield* tab
      const address = yield* listening("ws~shs", echo)
      const session = yield* Effect.promise(() => own.page.createCDPSession())
      const become = (offline: boolean) => {
        const conditions = { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 }
        return Effect.promise(() => session.send("Network.emulateNetworkConditions", conditions))
      }
      yield* Effect.promise(() => session.send("Network.enable"))
      yield* become(true)
      const refused = yield* own.call("refusal", address)
      assert.deepInclude(refused, { tag: "Unreachable", isRetryable: true })
      yield* become(false)
      assert.deepStrictEqual(yield* own.call("echo", address, 1000), expected(1000))
      yield* Effect.promise(() => session.detach())
    })
  )
})
