/**
 * examples/chat: a page, a bridge, and a desktop that has TCP only. The page runs in Chromium, where there is one.
 * `SCREENSHOTS=folder` keeps the pictures of it.
 */
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Browser, Page } from "puppeteer-core"
import { build } from "vite"
import * as Protocol from "../../examples/chat/protocol.ts"
import { explain } from "../../examples/chat/words.ts"
import * as Address from "../../src/Address.ts"
import { ConnectionError, Reset } from "../../src/ConnectionError.ts"
import * as DialError from "../../src/DialError.ts"
import * as HandshakeError from "../../src/HandshakeError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { sha256 } from "../cli/support.ts"
import { Shell } from "../pages/shell.ts"
import { multiserver, pattern, sameBytes, served } from "../support/servers.ts"
import { status } from "../ws/plain.ts"
import { multiserver as webSockets } from "../ws/support.ts"
import { isMissing, launch } from "./support/browsers.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const isMissingChromium = isMissing("Chromium", "the page of examples/chat")

const script = "vite build --logLevel warn examples/chat && node examples/chat/main.ts"

/** Starts one of its programs. It is killed with the scope. */
const start = (program: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const quoted = args.map((each) => `'${each}'`).join(" ")
      const bin = path.join(root, "node_modules/.bin")
      return new Shell(`exec node examples/chat/${program}.ts ${quoted}`, root, { PATH: `${bin}:${process.env.PATH}` })
    }),
    (shell) => Effect.andThen(shell.kill("SIGKILL"), shell.exit)
  )

/** The link that it prints. */
const linkOf = (chat: Shell) => Effect.map(chat.printed(/link: \S+\n/), (text) => /link: (\S+)/.exec(text)?.[1] ?? "")

beforeAll(() => build({ configFile: path.join(root, "examples/chat/vite.config.ts"), logLevel: "warn" }))

describe("the messages of examples/chat", () => {
  const framed = (json: Uint8Array | string): Uint8Array => {
    const body = Buffer.from(json)
    const head = Buffer.alloc(4)
    head.writeUInt32BE(body.length)
    return Buffer.concat([head, body])
  }
  const message = (fields: Readonly<Record<string, unknown>>) => framed(JSON.stringify(fields))

  /** What is read when a peer sends these bytes. */
  const read = (chunks: ReadonlyArray<Uint8Array>) =>
    Effect.gen(function* () {
      const addresses = yield* served("memory:chat", ({ write }) => Effect.forEach(chunks, write, { discard: true }))
      return yield* Stream.runCollect(Protocol.messages(yield* Multiserver.dial(addresses)))
    }).pipe(Effect.scoped, Effect.provide(multiserver()))

  it.live("arrive as they were sent, however they were cut", () =>
    Effect.gen(function* () {
      const sent: ReadonlyArray<Protocol.Message> = [
        { _tag: "Text", text: "<b>ß</b> 𝄞" },
        { _tag: "File", name: "a", size: 3 },
        { _tag: "Chunk", bytes: Uint8Array.of(0, 255, 7) },
        { _tag: "Received", sha256: "0".repeat(64) }
      ]
      const written: Array<Uint8Array> = []
      const addresses = yield* served("memory:sent", (connection) =>
        Effect.forEach(sent, (each) => Protocol.send(connection, each), { discard: true })
      )
      const connection = yield* Multiserver.dial(addresses)
      yield* Stream.runForEach(Stream.fromPull(Effect.succeed(connection.pull)), (chunk) =>
        Effect.sync(() => void written.push(chunk))
      )
      const whole = Buffer.concat(written)
      assert.deepStrictEqual(yield* read([whole]), sent)
      assert.deepStrictEqual(yield* read([...whole].map((byte) => Uint8Array.of(byte))), sent)
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live("are refused when they are hostile", () =>
    Effect.gen(function* () {
      const hostile: Readonly<Record<string, Uint8Array>> = {
        "has 65537 bytes": Buffer.from([0, 1, 0, 1]),
        "has 4294967295 bytes": Buffer.from([255, 255, 255, 255, 1]),
        "in the middle": message({ _tag: "Text", text: "cut off" }).subarray(0, 12),
        "can't be read: no UTF-8": framed(Buffer.from([0x22, 0xff, 0x22])),
        "can't be read: no JSON": framed("{"),
        "can't be read: nothing": framed(""),
        "can't be read: no message": framed("null"),
        "can't be read: unknown": message({ _tag: "Shell", text: "rm" }),
        "can't be read: empty": message({ _tag: "Text", text: "" }),
        "can't be read: long": message({ _tag: "Text", text: "x".repeat(Protocol.maxText + 1) }),
        "can't be read: no text": message({ _tag: "Text", text: { toString: "x" } }),
        "can't be read: nameless": message({ _tag: "File", name: "", size: 1 }),
        "can't be read: negative": message({ _tag: "File", name: "a", size: -1 }),
        "can't be read: a fraction": message({ _tag: "File", name: "a", size: 0.5 }),
        "can't be read: large": message({ _tag: "File", name: "a", size: Protocol.maxFile + 1 }),
        "can't be read: no base64": message({ _tag: "Chunk", bytes: "&" }),
        "can't be read: no hash": message({ _tag: "Received", sha256: "<img>" })
      }
      for (const [why, bytes] of Object.entries(hostile)) {
        const error = yield* Effect.flip(read([bytes]))
        assert.strictEqual(error._tag, "NotOfThisChat", why)
        assert.include(error.message, why.replace(/:.*/, ""))
      }
    })
  )

  it("belong to a file, or are refused", () => {
    const file = (size: number) => ({ _tag: "File", name: "a", size }) as const
    const chunk = (length: number) => ({ _tag: "Chunk", bytes: new Uint8Array(length) }) as const
    const begun = Result.getOrThrow(Protocol.arrive(undefined, file(3)))
    const half = Result.getOrThrow(Protocol.arrive(begun, chunk(2)))
    const whole = Result.getOrThrow(Protocol.arrive(half, chunk(1)))
    assert.deepStrictEqual(whole, { name: "a", size: 3, here: 3 })
    assert.isTrue(Result.isSuccess(Protocol.arrive(whole, file(0))))
    for (const [at, next] of [
      [undefined, chunk(1)],
      [half, chunk(2)],
      [half, chunk(0)],
      [half, file(1)],
      [whole, chunk(1)]
    ] as const) {
      assert.isTrue(Result.isFailure(Protocol.arrive(at, next)))
    }
  })
})

describe("the errors of examples/chat", () => {
  const dialed = (reason: DialError.AttemptReason) => new DialError.DialError({ address: "ws://h~shs", reason })
  const failed = (reason: HandshakeError.HandshakeReason) =>
    dialed(new HandshakeError.HandshakeError({ protocol: "shs", phase: "accept", reason }))

  it("are said in words, with what to do", () => {
    const unreachable = new DialError.Unreachable({ code: "WS_1006" })
    const address = "ws://h~shs"
    const all = new DialError.AllFailed({ attempts: [{ address, reason: unreachable }] })
    const said = [
      explain(dialed(unreachable)),
      explain(new DialError.DialError({ address, reason: all })),
      explain(failed(new HandshakeError.Rejected({ after: "auth" }))),
      explain(failed(new HandshakeError.Rejected({ after: "hello" }))),
      explain(dialed(new DialError.Unsupported({ stack: "net", spoken: ["ws~shs"] }))),
      explain(new ConnectionError({ remote: address, reason: new Reset({ code: "WS_1006" }) })),
      explain(new Protocol.NotOfThisChat({ detail: "x" })),
      explain(Result.getOrThrow(Result.flip(Address.parse("127.0.0.1:8008"))))
    ]
    assert.deepStrictEqual(said[0], said[1])
    assert.strictEqual(new Set(said.map(({ what }) => what)).size, said.length - 1)
    for (const { todo, what } of said) assert.isTrue(what.endsWith(".") && todo.length > 10, what)
  })
})

describe("npm run example:chat", () => {
  it.live("serves the page, relays to its peer, keeps other pages out, and ends at SIGINT", () =>
    Effect.gen(function* () {
      const scripts: Readonly<Record<string, string>> = JSON.parse(
        fs.readFileSync(path.join(root, "package.json"), "utf8")
      ).scripts
      assert.strictEqual(scripts["example:chat"], `npm run -s build && ${script}`)
      const chat = yield* start("main", "--port", "0", "--peer-port", "0")
      const link = new URL(yield* linkOf(chat))
      const response = yield* Effect.promise(() => fetch(link))
      assert.strictEqual(
        response.headers.get("content-security-policy"),
        "default-src 'self'; connect-src ws:; frame-ancestors 'none'"
      )
      assert.include(yield* Effect.promise(() => response.text()), "<title>Bridge chat</title>")
      const other = { path: "/peer", headers: { Origin: "http://other.example" } }
      assert.strictEqual(yield* status(Number(link.port), other), 403)

      const talk = Effect.gen(function* () {
        const connection = yield* Multiserver.dial(link.hash.slice(1))
        const bytes = pattern(100_000)
        const sending = Effect.andThen(
          Protocol.send(connection, { _tag: "Text", text: "hi" }),
          Protocol.sendFile(connection, "bytes", bytes, () => Effect.void)
        )
        yield* Effect.forkChild(sending)
        const heard = yield* Protocol.messages(connection).pipe(
          Stream.takeUntil(({ _tag }) => _tag === "Received"),
          Stream.runCollect
        )
        assert.deepInclude(heard, { _tag: "Text", text: "You said: hi" })
        assert.deepInclude(heard, { _tag: "Received", sha256: sha256(bytes) })
        const back = heard.flatMap((each) => (each._tag === "Chunk" ? [each.bytes] : []))
        assert.isTrue(sameBytes(Buffer.concat(back), bytes))
      })
      yield* talk.pipe(Effect.scoped, Effect.provide(webSockets()))

      const [, taken = ""] = /peer: net:127\.0\.0\.1:(\d+)/.exec(yield* chat.printed(/peer: \S+\n/)) ?? []
      const second = yield* (yield* start("main", "--port", "0", "--peer-port", taken)).exit
      assert.strictEqual(second.code, 1)
      assert.include(second.stderr, "--port and --peer-port choose other ports.")
      yield* chat.kill("SIGINT")
      assert.strictEqual((yield* chat.exit).code, 0)
    }).pipe(Effect.scoped)
  )
})

describe.skipIf(isMissingChromium)("the page of examples/chat", () => {
  const scope = Effect.runSync(Scope.make())
  const here = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Scope.provide(effect, scope))
  const files = fs.mkdtempSync(path.join(os.tmpdir(), "chat-"))
  const complaints: Array<string> = []
  let browser: Browser
  let page: Page
  let peer: Shell
  let peerAddress: string
  let link: string
  let key: string

  const startPeer = async (...args: ReadonlyArray<string>) => {
    peer = await here(start("peer", "--key-file", path.join(files, "peer.key"), ...args))
    peerAddress = (await here(peer.printed(/^net:\S+\n/m))).match(/^net:\S+$/m)?.[0] ?? ""
  }
  const reached = (...states: ReadonlyArray<string>) =>
    page.waitForSelector(states.map((state) => `body[data-status="${state}"]`).join())
  const text = (selector: string) => page.$eval(selector, (found) => found.textContent ?? "")
  const logged = (said: string) =>
    page.waitForFunction((wanted) => document.getElementById("log")?.textContent?.includes(wanted), {}, said)
  const focused = () => page.evaluate(() => document.activeElement?.id ?? "")
  /** Moves on with the Tab key until this has the focus. */
  const tabTo = async (id: string) => {
    for (let i = 0; i < 20 && (await focused()) !== id; i++) await page.keyboard.press("Tab")
    assert.strictEqual(await focused(), id)
  }
  /** To paint it takes much, so only when somebody wants it. */
  const picture = async (name: string) => {
    const { SCREENSHOTS: folder } = process.env
    if (folder !== undefined) await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true })
  }
  const say = async (words: string) => {
    await tabTo("text")
    await page.keyboard.type(words)
    await page.keyboard.press("Enter")
  }

  beforeAll(async () => {
    await startPeer("--port", "0")
    link = await here(Effect.flatMap(start("main", "--port", "0", "--peer", peerAddress), linkOf))
    browser = await launch("Chromium")
    page = await browser.newPage()
    page.setDefaultTimeout(120_000)
    page.on("pageerror", (error) => complaints.push(String(error)))
    page.on("console", (message) => {
      if (/Content Security Policy|Uncaught/.test(message.text())) complaints.push(message.text())
    })
    await page.goto(link.replace(/#.*/, ""))
  })
  afterAll(async () => {
    await browser?.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
    fs.rmSync(files, { recursive: true })
  })

  it("shows its own key, and says what is wrong with an address", async () => {
    await page.waitForSelector("#copy-key:not(:disabled)")
    key = await text("#own-key")
    assert.match(key, /^[A-Za-z0-9+/]{43}=$/)
    await tabTo("address")
    await page.keyboard.type("127.0.0.1:8008")
    await page.keyboard.press("Enter")
    await reached("failed")
    assert.include(await text("#trouble"), "This is not an address.")
    // Where the focus is, the address can be mended.
    assert.strictEqual(await focused(), "address")
    await picture("bad-address")
  })

  it("doesn't dial another server because of a link, before its user wants that", async () => {
    const before = await page.$eval("body", (body) => body.dataset.status)
    const other = `ws://127.0.0.1:1/peer~shs:${key}`
    await page.evaluate((to) => location.assign(`#${to}`), other)
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200)))
    assert.strictEqual(await page.$eval("#address", (input) => (input as HTMLInputElement).value), other)
    assert.strictEqual(await page.$eval("body", (body) => body.dataset.status), before)
  })

  it("connects by the link, step by step, and talks", async () => {
    await page.evaluate(`
      seen = { states: [], sending: [], receiving: [], blobs: [] }
      const watch = (element, options, saw) => new MutationObserver(() => saw(element)).observe(element, options)
      watch(document.body, { attributes: true }, ({ dataset }) => seen.states.push(dataset.status))
      for (const way of ["sending", "receiving"])
        watch(document.getElementById(way + "-bar"), { attributes: true }, ({ max, value }) => seen[way].push(value / max))
      const { createObjectURL } = URL
      URL.createObjectURL = (blob) => (seen.blobs.push(blob), createObjectURL(blob))
    `)
    await page.evaluate((to) => location.assign(to), link)
    await reached("connected")
    assert.deepStrictEqual(await page.evaluate("[...new Set(seen.states)]"), ["connecting", "handshake", "connected"])
    assert.strictEqual(await text("#state"), `Connected to ${peerAddress.replace(/^.*~shs:/, "")}.`)
    assert.isTrue(await page.$eval("#trouble", (found) => found.hasAttribute("hidden")))
    await say("<img src=x onerror=alert(1)> & 𝄞")
    await logged("You said: <img src=x onerror=alert(1)> & 𝄞")
    assert.isNull(await page.$("#log img"))

    // What is said of the key leaves what is said of the connection as it is.
    await tabTo("copy-key")
    await page.keyboard.press("Enter")
    await page.waitForSelector("#copied:not(:empty)")
    assert.match(await text("#copied"), /^Your key is (copied|selected)/)
    assert.match(await text("#state"), /^Connected to /)
    // Without a file, the browser asks for one.
    assert.isNotNull(await page.$("#file:invalid"))
  })

  it("sends a file and gets it back, with progress both ways", async () => {
    const bytes = crypto.randomBytes(3_000_000)
    const file = path.join(files, "<b>photo.bin")
    fs.writeFileSync(file, bytes)
    await tabTo("file")
    const choosing = page.waitForFileChooser()
    // Only once the browser has answered does it give its dialog to the test.
    await focused()
    await page.keyboard.press("Enter")
    await (await choosing).accept([file])
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await logged("Your file has arrived whole.")
    await logged("Save <b>photo.bin")
    for (const way of ["sending", "receiving"]) {
      const shares = (await page.evaluate(`seen.${way}`)) as ReadonlyArray<number>
      assert.isNotEmpty(shares.filter((share) => share > 0 && share < 1))
      assert.deepStrictEqual(
        shares,
        shares.toSorted((a, b) => a - b)
      )
      assert.strictEqual(shares.at(-1), 1)
      assert.include(await text(`#${way}-label`), "100 %")
    }
    const back = await page.evaluate(`seen.blobs[0].arrayBuffer()
      .then((bytes) => crypto.subtle.digest("SHA-256", bytes))
      .then((hash) => [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join(""))`)
    assert.strictEqual(back, sha256(bytes))
  })

  it("has a name for each control, a keyboard's way to each, and fits a phone in both themes", async () => {
    const named: Array<string> = []
    const visit = (at: { readonly role: string; readonly name?: string; readonly children?: ReadonlyArray<never> }) => {
      if (/button|textbox|link|progress|log|status|Disclosure/i.test(at.role))
        named.push(`${at.role}: ${at.name ?? ""}`)
      for (const child of at.children ?? []) visit(child)
    }
    const tree = await page.accessibility.snapshot({ interestingOnly: false })
    if (tree === null) return assert.fail("no tree")
    visit(tree as never)
    const controls = named.filter((each) => !/^(status|StaticText)/.test(each))
    assert.deepStrictEqual(
      controls.filter((each) => /: $/.test(each)),
      []
    )
    for (const each of ["button: Copy your key", "textbox: Address of the other side", "textbox: Message"]) {
      assert.include(controls, each)
    }
    for (const each of ["button: Send message", "button: Disconnect", "log: Conversation"])
      assert.include(controls, each)

    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
    const order: Array<string> = []
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press("Tab")
      const at = await page.evaluate(() => {
        const found = document.activeElement
        const isSeen = found !== null && (found === document.body || getComputedStyle(found).outlineStyle !== "none")
        return `${found === document.body ? "" : found?.id || found?.textContent || ""}${isSeen ? "" : ": its focus is not seen"}`
      })
      if (order.includes(at)) break
      order.push(at)
    }
    const [keyButton, address, leave, ...talk] = order.filter((each) => each !== "")
    assert.deepStrictEqual([keyButton, address, leave], ["copy-key", "address", "leave"])
    assert.deepStrictEqual(
      talk.filter((each) => !/^(log|Save)/.test(each)),
      ["text", "Send message", "file", "Send file"]
    )

    const grounds = new Set<string>()
    for (const theme of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }])
      for (const [device, width] of [
        ["desktop", 900],
        ["phone", 360]
      ] as const) {
        await page.setViewport({ width, height: 740 })
        const wide = await page.evaluate(() => document.documentElement.scrollWidth)
        assert.isAtMost(wide, width, `${theme}, ${device}`)
        grounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor))
        await picture(`${theme}-${device}`)
      }
    }
    assert.strictEqual(grounds.size, 2)
  })

  it("says that its peer was killed, and goes on when that is back", async () => {
    const [, port = ""] = /:(\d+)~/.exec(peerAddress) ?? []
    await tabTo("text")
    await page.keyboard.type("ag")
    await here(peer.kill("SIGKILL"))
    await reached("waiting")
    for (const way of ["sending", "receiving"]) assert.isNotNull(await page.$(`#${way}[hidden]`))
    assert.match(await text("#trouble"), /vanished|broke|hung up/)
    await picture("peer-killed")
    await startPeer("--port", port, "--allow", key)
    await reached("connected")
    // Who was writing goes on writing.
    assert.strictEqual(await focused(), "text")
    await page.keyboard.type("ain")
    await page.keyboard.press("Enter")
    await logged("You said: again")
  })

  it("keeps the last files only", async () => {
    await page.evaluate(() => {
      const [input, form] = [document.getElementById("file"), document.getElementById("send-file")]
      if (!(input instanceof HTMLInputElement && form instanceof HTMLFormElement)) return
      for (let i = 0; i < 10; i++) {
        const chosen = new DataTransfer()
        chosen.items.add(new File([String(i)], `file ${i}`))
        input.files = chosen.files
        form.requestSubmit()
      }
    })
    await logged("Save file 9")
    assert.include(await text("#log"), "file 1 is not kept any more.")
    const offered = await page.$$eval("#log a", (links) => links.map((link) => link.textContent))
    assert.deepStrictEqual(
      offered,
      Array.from({ length: 8 }, (_, i) => `Save file ${i + 2}`)
    )
  })

  it("says goodbye when its user disconnects", async () => {
    await tabTo("leave")
    await page.keyboard.press("Enter")
    await reached("ended")
    await here(peer.printed(/ms: end; /))
    assert.strictEqual(await focused(), "start")
  })

  it("says that its key is refused, and does not try again", async () => {
    await page.evaluate(
      `new Promise((resolve) => (indexedDB.deleteDatabase("effect-multiserver").onsuccess = resolve))`
    )
    await page.reload()
    await reached("failed")
    assert.notStrictEqual(await text("#own-key"), key)
    assert.include(await text("#trouble"), "The other side refuses your key")
    await here(peer.printed(/is not allowed/))
    await picture("refused")
  })

  it("stops trying when its user wants that", async () => {
    await here(peer.kill("SIGKILL"))
    await tabTo("start")
    await page.keyboard.press("Enter")
    await reached("waiting")
    assert.include(await text("#trouble"), "hung up before it said who it is")
    await tabTo("leave")
    assert.strictEqual(await text("#leave"), "Stop")
    await page.keyboard.press("Enter")
    await reached("ended")
    // In all of this, nothing was blocked, and nothing went uncaught.
    assert.deepStrictEqual(complaints, [])
  })
})
