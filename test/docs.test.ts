/** The code in the documents is the code in examples/, and it runs. */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as zlib from "node:zlib"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Address from "../src/Address.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Noauth from "../src/noauth/Noauth.ts"
import { readsTypes } from "./support/nodes.ts"
import { primitives } from "./support/primitives.ts"
import { echo, pattern, protocols, readAll, sameBytes, served, until } from "./support/servers.ts"

const read = (path: string) => fs.readFileSync(new URL(`../${path}`, import.meta.url), "utf8")
const blocksOf = (document: string) => [...document.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1])
const pathOf = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))

/** Whether there is a process of this number. */
const isAlive = (pid: number): boolean => Result.isSuccess(Result.try(() => process.kill(pid, 0)))

describe("documents", () => {
  it("README shows examples/hello.ts, in 20 lines of code, and it says hello", async () => {
    const code = read("examples/hello.ts")
    assert.strictEqual(blocksOf(read("README.md"))[0], code)
    const lines = code.split("\n").filter((line) => line.trim() !== "" && !line.trim().startsWith("//"))
    assert.isAtMost(lines.length, 20)
    const log = vi.spyOn(console, "log").mockImplementation(() => {})
    await import("../examples/hello.ts")
    const said = log.mock.calls.flat().join("\n")
    log.mockRestore()
    assert.match(said, /^net:127\.0\.0\.1:\d+~shs:\S+ says hello$/)
  })

  it("docs/testing.md shows examples/testing.test.ts, which is run with the tests", () => {
    assert.deepStrictEqual(blocksOf(read("docs/testing.md")), [read("examples/testing.test.ts")])
  })

  it("each key that they show in an address is one that somebody could have", () => {
    const documents = [
      "README.md",
      ...fs.readdirSync(pathOf("docs")).flatMap((name) => (name.endsWith(".md") ? [`docs/${name}`] : []))
    ]
    const keys = documents.flatMap((name) => [...read(name).matchAll(/~(?:shs|noise):([A-Za-z0-9+/]{43}=)/g)])
    assert.isNotEmpty(keys)
    for (const [, key = ""] of keys) {
      // An Ed25519 point of the main subgroup: libsodium takes no other.
      assert.isDefined(primitives.x25519FromPublicKey(Buffer.from(key, "base64")), key)
    }
  })

  it("docs/writing-a-protocol.md shows examples/protocol.ts", () => {
    assert.include(blocksOf(read("docs/writing-a-protocol.md")), read("examples/protocol.ts"))
  })

  it.live("the protocol that it writes works alone and under shs, and finds damage", () =>
    Effect.gen(function* () {
      const { layer } = yield* Effect.promise(() => import("../examples/protocol.ts"))
      const live = Multiserver.layer(["memory~sum", "net~shs~sum", "memory"]).pipe(Layer.provide([layer, protocols()]))
      yield* Effect.gen(function* () {
        for (const target of ["memory:a~sum", "net:127.0.0.1:0~shs~sum"]) {
          const [address] = yield* served(target, echo)
          const connection = yield* Multiserver.dial(address as Address.Address)
          const bytes = pattern(1 << 20)
          yield* Effect.forkChild(Effect.andThen(connection.write(bytes), connection.end))
          assert.isTrue(sameBytes(yield* readAll(connection), bytes), target)
        }
        // A bare peer that says hello and sends a frame whose sum is wrong.
        const [address] = yield* served("memory:b", (connection) =>
          Effect.andThen(
            connection.writeAll([new TextEncoder().encode("sum1"), Uint8Array.of(0, 1, 0, 0, 0, 0, 65)]),
            Effect.never
          )
        )
        const error = yield* Effect.flip(
          Effect.flatMap(Multiserver.dial(`${address}~sum`), (connection) => connection.pull)
        )
        assert.isTrue(error._tag === "ConnectionError" && error.reason._tag === "Tampered")
        const stranger = yield* served("memory:c", (connection) => connection.write(pattern(100)))
        const refused = yield* Effect.flip(Multiserver.dial(`${stranger[0]}~sum`))
        assert.include(refused.message, "it does not speak sum1")
      }).pipe(Effect.provide(live))
    })
  )

  it("docs/port.md shows examples/port.ts, and a thread hears from its worker", async () => {
    assert.include(blocksOf(read("docs/port.md")), read("examples/port.ts"))
    const { stdout } = await promisify(execFile)(readsTypes, [pathOf("examples/port.ts")])
    assert.strictEqual(stdout, "HELLO\n")
  })

  it("docs/writing-a-protocol.md shows examples/zstd.ts, in about 30 lines", () => {
    const code = read("examples/zstd.ts")
    assert.include(blocksOf(read("docs/writing-a-protocol.md")), code)
    assert.isAtMost(code.split("\n").length, 35)
  })

  it.live("the compression that it shows works under shs, where node:zlib has zstd", () =>
    Effect.gen(function* () {
      if (typeof zlib.createZstdCompress !== "function") {
        return yield* Effect.logWarning(`NOT TESTED: node:zlib of Node ${process.version} has no zstd`)
      }
      vi.doMock("effect-multiserver/deflate/Compression", () => import("../src/deflate/Compression.ts"))
      const { layer } = yield* Effect.promise(() => import("../examples/zstd.ts"))
      const live = Multiserver.layer(["memory~shs~zstd", "memory~shs"]).pipe(Layer.provide([layer, protocols()]))
      yield* Effect.gen(function* () {
        const [address] = yield* served("memory:a~shs~zstd:3", echo)
        for (const bytes of [pattern(1 << 20), new Uint8Array(1 << 20)]) {
          const connection = yield* Multiserver.dial(address as Address.Address)
          yield* connection.write(bytes.subarray(0, 10))
          assert.isTrue(sameBytes(Buffer.concat(yield* connection.pull), bytes.subarray(0, 10)))
          yield* Effect.forkChild(Effect.andThen(connection.write(bytes.subarray(10)), connection.end))
          assert.isTrue(sameBytes(yield* readAll(connection), bytes.subarray(10)))
        }
        // What is on the wire is a zstd stream.
        const [bare] = yield* served("memory:b~shs", (connection) =>
          Effect.flatMap(readAll(connection), (bytes) =>
            connection.write(zlib.zstdCompressSync(zlib.zstdDecompressSync(bytes)))
          )
        )
        const connection = yield* Multiserver.dial(`${bare}~zstd:3`)
        yield* Effect.andThen(connection.write(pattern(1000)), connection.end)
        assert.isTrue(sameBytes(yield* readAll(connection), pattern(1000)))
        const refused = yield* Effect.flip(Multiserver.dial(`${address}`.replace("zstd:3", "zstd:99")))
        assert.strictEqual(refused._tag, "DialError")
      }).pipe(Effect.provide(live))
    })
  )

  it("docs/writing-a-protocol.md shows examples/transport.ts", () => {
    assert.include(blocksOf(read("docs/writing-a-protocol.md")), read("examples/transport.ts"))
  })

  it.live("the transport that it shows starts programs, talks with them, and ends those that it has to", () =>
    Effect.gen(function* () {
      const { layer } = yield* Effect.promise(() => import("../examples/transport.ts"))
      // The program is TypeScript and imports the built package: it runs on the Node of the package's scripts.
      const node = pathOf("node_modules/.bin/node")
      const program = pathOf("examples/transport-child.ts")
      const programs = new Map<string, readonly [string, ...ReadonlyArray<string>]>([
        ["echo", [node, program]],
        ["noauth", [node, program, "child~noauth"]],
        ["absent", ["/nonexistent/program"]],
        ["stays", ["sh", "-c", `echo $$ >&3; exec sleep 600`]]
      ])
      const live = Multiserver.layer(["child", "child~noauth"]).pipe(Layer.provide([layer(programs), Noauth.layer()]))
      yield* Effect.gen(function* () {
        for (const [address, peer] of [
          ["child:echo", "Anonymous"],
          ["child:noauth~noauth", "Trusted"]
        ] as const) {
          const connection = yield* Multiserver.dial(address)
          assert.deepStrictEqual([`${connection.remote}`, connection.peer._tag], [address, peer])
          const bytes = pattern(3 << 20)
          yield* Effect.forkChild(Effect.andThen(connection.write(bytes), connection.end))
          assert.isTrue(sameBytes(yield* readAll(connection), bytes), address)
          assert.strictEqual((yield* connection.closed).tag, "end")
        }
        for (const address of ["child:absent", "child:nobody"]) {
          const refused = yield* Effect.flip(Multiserver.dial(address))
          assert.isTrue(refused._tag === "DialError" && refused.reason._tag === "NotDialable", address)
        }
        const unbound = yield* Effect.flip(Multiserver.listen("child"))
        assert.isTrue(unbound._tag === "ListenError" && unbound.reason._tag === "Other")
        // Whoever fails leaves no program behind.
        let pid = 0
        const failed = Effect.gen(function* () {
          const connection = yield* Multiserver.dial("child:stays")
          pid = Number(Buffer.concat(yield* connection.pull))
          return yield* Effect.interrupt
        })
        yield* Effect.exit(Effect.scoped(failed))
        assert.isAbove(pid, 0)
        yield* until(() => !isAlive(pid))
      }).pipe(Effect.scoped, Effect.provide(live))
    })
  )
})
