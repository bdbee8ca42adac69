import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { Worker } from "node:worker_threads"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Address from "../../src/Address.ts"
import type * as Connection from "../../src/Connection.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import * as Compliance from "../../src/testing/Compliance.ts"
import { byFolders } from "../../src/unix/ours.ts"
import * as Unix from "../../src/unix/Unix.ts"
import { echo, pair, pattern, protocols, readAll, sameBytes, served, turns } from "../support/servers.ts"

const layer = Multiserver.layer(["unix~shs", "unix~noise", "unix~noauth", "unix"]).pipe(
  Layer.provide([protocols(), Unix.layer(), Noauth.layer()])
)

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "ms-unix-"))),
  (dir) => Effect.sync(() => fs.rmSync(dir, { recursive: true, force: true }))
)

/** Runs a script in a process of its own, as long as the test, from when it has said something. */
const node = (script: string) =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  ).pipe(
    Effect.tap((child) => Effect.callback<void>((resume) => void child.stdout.once("data", () => resume(Effect.void))))
  )

const exchange = (address: Multiserver.Target) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Multiserver.dial(address)
      yield* Effect.andThen(connection.write(pattern(100)), connection.end)
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(100)))
    })
  )

const compliance = fs.mkdtempSync(path.join(os.tmpdir(), "ms-unix-c-"))
afterAll(() => fs.rmSync(compliance, { recursive: true, force: true }))
describe.each(["unix~shs", "unix~noise", "unix~noauth", "unix"])("%s", (stack) => {
  const target = stack.replace("unix", `unix:${compliance}/socket`)
  const authenticates = /~(shs|noise)$/.test(stack)
  const subject = { target, layer, authenticates, halfClose: true, patience: "5 minutes" } as const
  for (const { name, run } of Compliance.suite(subject)) it.live(name, () => run)
})

describe("unix", () => {
  it.live("trusts its peer, is 0600 from the first moment, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      const file = path.join(dir, "a:b~c!d")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const address = `unix:${file.replaceAll("!", "!!").replaceAll("~", "!~")}~noauth`
          const [near, far] = yield* pair(address)
          assert.deepStrictEqual([near.peer._tag, far.peer._tag], ["Trusted", "Trusted"])
          assert.strictEqual(String(near.remote), address)
          assert.strictEqual(fs.lstatSync(file).mode & 0o777, 0o600)
          assert.deepStrictEqual(fs.readdirSync(dir), ["a:b~c!d"])
        })
      )
      assert.deepStrictEqual(fs.readdirSync(dir), [])
    }).pipe(Effect.provide(layer))
  )

  it.live("says a path with white space as one that can be dialed, and a relative one as it is from anywhere", () =>
    Effect.gen(function* () {
      const file = path.join(yield* directory, "Application Support;100%20")
      const written = file
        .replace(" ", "%20")
        .replace(";", "%3B")
        .replace(/100%20$/, "100%2520")
      const [address] = yield* served(`unix:${written}~shs`, echo)
      assert.match(String(address), /Application%20Support%3B100%2520~shs:/)
      assert.isTrue(fs.lstatSync(file).isSocket())
      const connection = yield* Multiserver.dial(String(address))
      assert.strictEqual(connection.remote.transport._tag === "unix" && connection.remote.transport.path, file)
      const relative = path.relative(process.cwd(), path.join(yield* directory, "s"))
      const [whole] = yield* served(`unix:${relative}`, echo)
      assert.strictEqual(String(whole), `unix:${path.resolve(relative)}`)
      yield* Multiserver.dial(String(whole))
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("takes over a dead socket of ours, and keeps it private", () =>
    Effect.gen(function* () {
      const file = path.join(yield* directory, "socket")
      // A process that is killed leaves its socket.
      yield* Effect.callback<void>((resume) => {
        const script = `require("net").createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, 9))`
        spawn(process.execPath, ["-e", script]).on("exit", () => resume(Effect.void))
      })
      assert.isTrue(fs.lstatSync(file).isSocket())
      const [address] = yield* served(`unix:${file}~shs`, echo)
      yield* exchange(address as Address.Address)
      assert.strictEqual(fs.lstatSync(file).mode & 0o777, 0o600)
    }).pipe(Effect.provide(layer))
  )

  it.live.runIf(process.platform === "linux")("is not asked by a connection whether it lives", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      let came = 0
      for (const name of ["live", "x".repeat(60)]) {
        const target = `unix:${dir}/${name}`
        const listener = yield* Multiserver.listen(target)
        yield* Effect.forkScoped(listener.run(() => Effect.sync(() => void came++)))
        const inUse = yield* Effect.flip(Multiserver.listen(target))
        assert.strictEqual(inUse.reason._tag, "AddressInUse")
      }
      yield* turns
      assert.strictEqual(came, 0)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.live("leaves another's live socket alone, and what is no socket", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      const [address] = yield* served(`unix:${dir}/live`, echo)
      const inUse = yield* Effect.flip(Multiserver.listen(`unix:${dir}/live`))
      assert.strictEqual(inUse.reason._tag, "AddressInUse")
      yield* exchange(address as Address.Address)
      fs.writeFileSync(path.join(dir, "file"), "kept")
      const file = yield* Effect.flip(Multiserver.listen(`unix:${dir}/file`))
      assert.strictEqual(file.reason._tag, "NotListenable")
      assert.include(file.message, "there is a file at that path that is no socket")
      const dialed = yield* Effect.flip(Multiserver.dial(`unix:${dir}/file`))
      assert.strictEqual(dialed.reason._tag, "NotDialable")
      assert.include(dialed.message, "there is a file at that path that is no socket")
      assert.strictEqual(fs.readFileSync(path.join(dir, "file"), "utf8"), "kept")
      fs.symlinkSync(path.join(dir, "live"), path.join(dir, "link"))
      const link = yield* Effect.flip(Multiserver.listen(`unix:${dir}/link`))
      assert.strictEqual(link.reason._tag, "AddressInUse")
      yield* exchange(address as Address.Address)
    }).pipe(Effect.provide(layer))
  )

  it.live("removes only its own file when it closes", () =>
    Effect.gen(function* () {
      const file = path.join(yield* directory, "socket")
      const other = net.createServer()
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Multiserver.listen(`unix:${file}`)
          fs.unlinkSync(file)
          yield* Effect.callback<void>((resume) => void other.listen(file, () => resume(Effect.void)))
        })
      )
      assert.isTrue(fs.lstatSync(file).isSocket())
      other.close()
    }).pipe(Effect.provide(layer))
  )

  it.live("says what is wrong with a path, with a type", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      const long = path.join(dir, "x".repeat(120))
      const cases = [
        [yield* Effect.flip(Multiserver.listen(`unix:${long}`)), "NotListenable"],
        [yield* Effect.flip(Multiserver.listen(`unix:${dir}/none/socket`)), "NotListenable"],
        [yield* Effect.flip(Multiserver.dial(`unix:${long}`)), "NotDialable"],
        [yield* Effect.flip(Multiserver.dial(`unix:${dir}/none`)), "Refused"]
      ] as const
      for (const [error, expected] of cases) assert.strictEqual(error.reason._tag, expected, error.message)
      assert.include(cases[1][0].message, "directory of the socket does not exist")
      assert.deepStrictEqual(fs.readdirSync(dir), [])
    }).pipe(Effect.provide(layer))
  )

  it.live("takes a path as long as the system does", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      const deep = path.join(dir, "d".repeat(99 - dir.length))
      fs.mkdirSync(deep)
      const [address] = yield* served(`unix:${deep}/socket~shs`, echo)
      assert.strictEqual(Buffer.byteLength(`${deep}/socket`), 107)
      yield* exchange(address as Address.Address)
      assert.deepStrictEqual(fs.readdirSync(deep), ["socket"])
    }).pipe(Effect.provide(layer))
  )

  it.live("is not listened on in a worker thread, which can't make a private socket", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      const worker = new Worker(new URL("worker.mjs", import.meta.url), { workerData: path.join(dir, "socket") })
      const message = yield* Effect.callback<string>((resume) => {
        worker.on("message", (text) => resume(Effect.succeed(text)))
        worker.on("error", (error) => resume(Effect.die(error)))
      })
      assert.include(message, "listen in the main thread")
      assert.deepStrictEqual(fs.readdirSync(dir), [])
    })
  )

  it.live("refuses when as many wait as the listener takes", () =>
    Effect.gen(function* () {
      const file = path.join(yield* directory, "socket")
      yield* node(`
        require("net").createServer().listen({ path: ${JSON.stringify(file)}, backlog: 1 }, () => {
          require("fs").writeSync(1, "listening")
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
        })`)
      const waiting = Array.from({ length: 3 }, () => net.connect(file).on("error", () => {}))
      const error = yield* Effect.flip(Multiserver.dial(`unix:${file}`))
      assert.strictEqual(error.reason._tag, "Refused")
      for (const socket of waiting) socket.destroy()
    }).pipe(Effect.provide(layer))
  )

  // Only root can make another user's socket.
  it.live.runIf(process.geteuid?.() === 0)("doesn't take another user for this one", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      fs.chmodSync(dir, 0o777)
      yield* node(`
        process.setuid(65534)
        require("net").createServer((socket) => socket.end()).listen(${JSON.stringify(`${dir}/theirs`)}, () => console.log("listening"))`)
      for (const stack of ["", "~noauth"]) {
        const error = yield* Effect.flip(Multiserver.dial(`unix:${dir}/theirs${stack}`))
        assert.strictEqual(error.reason._tag, "NotDialable")
        assert.include(error.message, "another user")
      }
      const key = Buffer.alloc(32, 1).toString("base64")
      const shs = yield* Effect.flip(Multiserver.dial(`unix:${dir}/theirs~shs:${key}`))
      assert.strictEqual(shs.reason._tag, "HandshakeError")
    }).pipe(Effect.provide(layer))
  )

  it.live.runIf(process.geteuid?.() === 0)(
    "takes no other user for this one who puts a socket in the place of ours",
    () =>
      Effect.gen(function* () {
        const shared = yield* directory
        fs.chmodSync(shared, 0o777)
        const say = (who: string) => (connection: Connection.Connection) =>
          Effect.andThen(connection.write(new TextEncoder().encode(who)), connection.end)
        yield* served(`unix:${shared}/socket~noauth`, say("ours"))
        // A name that is our socket's and theirs in turn, as fast as it goes.
        yield* node(`
        const fs = require("fs")
        process.chdir(${JSON.stringify(shared)})
        process.setuid(65534)
        require("net").createServer((socket) => socket.on("error", () => {}).end("theirs")).listen("theirs", () => {
          console.log("listening")
          const swap = () => {
            for (let i = 0; i < 100; i++) {
              fs.renameSync("socket", "ours")
              fs.renameSync("theirs", "socket")
              fs.renameSync("socket", "theirs")
              fs.renameSync("ours", "socket")
            }
            setImmediate(swap)
          }
          swap()
        })`)
        const met = new Map<string, number>()
        const dial = Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* Multiserver.dial(`unix:${shared}/socket~noauth`)
            assert.strictEqual(connection.peer._tag, "Trusted")
            return new TextDecoder().decode(yield* readAll(connection))
          })
        ).pipe(Effect.catch((error) => Effect.succeed(error.reason._tag)))
        for (let i = 0; i < 400; i++) {
          const who = yield* dial
          met.set(who, (met.get(who) ?? 0) + 1)
        }
        assert.includeMembers(["ours", "NotDialable", "Refused"], [...met.keys()], JSON.stringify([...met]))
        assert.isTrue(met.has("ours"), JSON.stringify([...met]))
      }).pipe(Effect.provide(layer))
  )

  it.live.runIf(process.geteuid?.() === 0)("follows no link that another user made, or could have put there", () =>
    Effect.gen(function* () {
      const [home, shared] = [yield* directory, yield* directory]
      fs.mkdirSync(path.join(home, "private"))
      fs.mkdirSync(path.join(home, "own"))
      const file = path.join(home, "private", "socket")
      yield* served(`unix:${file}~noauth`, echo)
      const link = (target: string, name: string, uid = 0) => {
        fs.symlinkSync(target, name)
        fs.lchownSync(name, uid, uid)
        return name
      }
      fs.chmodSync(shared, 0o777)
      fs.chownSync(shared, 65534, 65534)
      const theirs = path.join(shared, "theirs")
      fs.mkdirSync(theirs, { mode: 0o700 })
      fs.chownSync(theirs, 65534, 65534)
      for (const [uid, folder, follows] of [
        [65534, shared, false],
        [65534, theirs, false],
        // What is ours, in a place where they can put another link that is ours.
        [0, shared, false],
        [65534, path.join(home, "own"), false],
        [0, path.join(home, "own"), true]
      ] as const) {
        const named = (name: string) => path.join(folder, `${name}-${uid}`)
        for (const name of [
          link(file, named("socket")),
          path.join(link(path.dirname(file), named("folder"), uid), "socket"),
          link(named("socket"), named("twice"), uid),
          link(path.relative(folder, file), named("relative"), uid)
        ]) {
          if (name === named("socket")) fs.lchownSync(name, uid, uid)
          const found = yield* byFolders(name)
          assert.strictEqual(found, follows ? fs.realpathSync(file) : undefined, name)
          const dial = exchange(`unix:${name}~noauth`)
          if (follows) yield* dial
          else {
            const error = yield* Effect.flip(dial)
            assert.isTrue(error._tag === "DialError" && error.reason._tag === "NotDialable", name)
          }
        }
      }
      const loop = link("loop", path.join(home, "loop"))
      const error = yield* Effect.flip(exchange(`unix:${loop}~noauth`))
      assert.isTrue(error._tag === "DialError" && error.reason._tag === "Unreachable")
    }).pipe(Effect.provide(layer))
  )

  it.live.runIf(process.geteuid?.() === 0)(
    "where the system holds no socket, trusts only one whose folders are closed",
    () =>
      Effect.gen(function* () {
        const dir = yield* directory
        const folder = path.join(dir, "folder")
        fs.mkdirSync(folder)
        const file = path.join(folder, "socket")
        yield* served(`unix:${file}`, echo)
        const link = path.join(dir, "link")
        fs.symlinkSync(file, link)
        const trusts = (name = file) => Effect.map(byFolders(name), (found) => found !== undefined)
        assert.strictEqual(yield* byFolders(link), fs.realpathSync(file))
        for (const [who, mode, expected] of [
          [0, 0o700, true],
          [0, 0o770, false],
          [0, 0o1777, false],
          [65534, 0o700, false]
        ] as const) {
          fs.chownSync(folder, who, 0)
          fs.chmodSync(folder, mode)
          assert.strictEqual(yield* trusts(), expected, `${who} ${mode.toString(8)}`)
        }
        fs.chownSync(folder, 0, 0)
        fs.chmodSync(folder, 0o700)
        fs.chmodSync(dir, 0o1777)
        assert.isTrue(yield* trusts())
        fs.chmodSync(dir, 0o777)
        assert.isFalse(yield* trusts())
        fs.chmodSync(dir, 0o700)
        fs.chownSync(file, 65534, 0)
        assert.isFalse(yield* trusts())
      }).pipe(Effect.provide(layer))
  )

  it.live("serves several in one process", () =>
    Effect.gen(function* () {
      const dir = yield* directory
      const addresses = yield* served([`unix:${dir}/a~shs`, `unix:${dir}/b~shs`, `unix:${dir}/c`], echo)
      assert.strictEqual(addresses.length, 3)
      for (const address of addresses) yield* exchange(address)
    }).pipe(Effect.provide(layer))
  )
})
