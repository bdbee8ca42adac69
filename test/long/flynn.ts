/**
 * Both roles of noise with the Go package github.com/flynn/noise, which `flynn/main.go` makes a peer of: handshakes,
 * tokens, the hash of the handshake, frames of every size, and a rekeying in each direction. And that package's own
 * vectors of our pattern.
 *
 * It needs `go` and that package, on Debian golang-go and golang-github-flynn-noise-dev. Where one of them is missing
 * it says so and exits with 3.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as readline from "node:readline"
import { fileURLToPath } from "node:url"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Address } from "../../src/Address.ts"
import * as AppKey from "../../src/AppKey.ts"
import type { Connection } from "../../src/Connection.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import { primitives } from "../support/primitives.ts"
import { echo, pattern, readAll, sameBytes, served, turn } from "../support/servers.ts"
import { base64, hex } from "../support/vectors.ts"
import { checkVectors } from "./flynn/vectors.ts"

const leftOut = 3
const source = fileURLToPath(new URL("./flynn/main.go", import.meta.url))
/** Where Debian has Go's packages. */
const debian = "/usr/share/gocode"
const goPath = process.env.GOPATH === undefined ? debian : `${process.env.GOPATH}${path.delimiter}${debian}`
const env = { ...process.env, GO111MODULE: "off", GOPATH: goPath }

/** What a program says, or why there is nothing. */
const output = (command: string, args: ReadonlyArray<string>): Promise<string | Error> =>
  new Promise((resolve) => {
    execFile(command, args, { env }, (error, stdout, stderr) =>
      resolve(error === null ? stdout : new Error(`${error.message}\n${stderr}`))
    )
  })

const missing = async (): Promise<string | undefined> => {
  if ((await output("go", ["version"])) instanceof Error) return "there is no go on this machine"
  const found = await output("go", ["list", "github.com/flynn/noise"])
  return found instanceof Error ? `go does not find github.com/flynn/noise in ${goPath}` : undefined
}

// -----------------------------------------------------------------------------
// both ends
// -----------------------------------------------------------------------------

const appKey = pattern(32, 11)
const [seed, theirSeed, token] = [pattern(32, 21), pattern(32, 22), pattern(32, 23)]
const own = Identity.fromSeed(primitives, Redacted.make(seed))
const theirs = Identity.fromSeed(primitives, Redacted.make(theirSeed))
const noToken = new Uint8Array(32)

const Said = Schema.fromJsonString(
  Schema.Struct({
    port: Schema.optionalKey(Schema.Int),
    same: Schema.optionalKey(Schema.Boolean),
    frames: Schema.optionalKey(Schema.Int),
    hash: Schema.optionalKey(Schema.String),
    payload: Schema.optionalKey(Schema.String),
    error: Schema.optionalKey(Schema.String)
  })
)
const said = (line: string) => Schema.decodeUnknownSync(Said)(line)

const program = (binary: string, sections: string) => {
  const sided = [hex(appKey), hex(theirSeed), sections]
  return {
    dial: (port: number, to: Uint8Array, token: Uint8Array, size: number, piece: number) =>
      output(binary, [...sided, "dial", `127.0.0.1:${port}`, hex(to), hex(token), String(size), String(piece)]),
    listen: (): ChildProcess => spawn(binary, [...sided, "listen"], { stdio: ["ignore", "pipe", "inherit"] })
  }
}

const layer = (options: Noise.Options) =>
  Multiserver.layer(["net~noise"]).pipe(
    Layer.provide([Net.layer(), Noise.layer(options)]),
    Layer.provide(AppKey.layer(Redacted.make(appKey))),
    Layer.provide([Layer.succeed(Identity.Identity, own), Sodium.layer])
  )

/** How much is sent, and in frames of which size. The last takes more frames than one key seals. */
const rounds = [
  [0, 1],
  [1, 1],
  [65_519, 65_519],
  [65_520, 65_519],
  [1_000_000, 4096],
  [66_000, 1]
] as const

const isDialed = (binary: string) => {
  const asked: Array<Noise.Applicant> = []
  const bindings: Array<string> = []
  const authorize = (applicant: Noise.Applicant) => Effect.sync(() => asked.push(applicant) > 0)
  const handler = (connection: Connection) =>
    Effect.andThen(
      Effect.sync(() => bindings.push(hex(connection.binding ?? noToken))),
      echo(connection)
    )
  return Effect.gen(function* () {
    const [address] = yield* served("net:127.0.0.1:0~noise", handler)
    const { transport } = address as Address
    const port = transport._tag === "net" ? transport.port : 0
    const peer = program(binary, "noise")
    for (const [size, piece] of rounds) {
      const line = yield* Effect.promise(() => peer.dial(port, own.publicKey, token, size, piece))
      assert.isNotTrue(line instanceof Error, String(line))
      const { frames, hash, same } = said(String(line))
      assert.deepStrictEqual([same, frames], [true, Math.ceil(size / piece)], `${size} bytes`)
      assert.strictEqual(hash, bindings.at(-1))
      const applicant = asked.at(-1) ?? assert.fail("nobody came")
      assert.strictEqual(hex(applicant.publicKey), hex(theirs.publicKey))
      assert.strictEqual(hex(Redacted.value(Option.getOrThrow(applicant.token))), hex(token))
    }
    const other = yield* Effect.promise(() => program(binary, "noise~deflate").dial(port, own.publicKey, token, 1, 1))
    assert.isTrue(other instanceof Error, "let in a dial of another stack")
    assert.lengthOf(asked, rounds.length)
  }).pipe(Effect.provide(layer({ authorize })), Effect.scoped)
}

const dials = (binary: string) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => program(binary, "noise").listen()),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const lines = readline.createInterface({ input: child.stdout ?? assert.fail("no output") })[Symbol.asyncIterator]()
    const next = Effect.promise(async () => said(String((await lines.next()).value)))
    const { port = 0 } = yield* next
    const address = `net:127.0.0.1:${port}~noise:${Identity.formatPublicKey(theirs.publicKey)}`
    for (const [size, piece] of rounds) {
      const withToken = size === 0
      const binding = yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* Multiserver.dial(withToken ? `${address}:${base64(token)}` : address)
          const bytes = pattern(size)
          // Small writes of one turn would be joined to one frame.
          const pieces = Array.from({ length: Math.ceil(size / piece) }, (_, i) =>
            bytes.slice(i * piece, (i + 1) * piece)
          )
          const writing = Effect.forEach(pieces, (each) => Effect.andThen(connection.write(each), turn), {
            discard: true
          })
          yield* Effect.forkChild(Effect.andThen(writing, connection.end))
          assert.isTrue(sameBytes(yield* readAll(connection), bytes), `${size} bytes`)
          return hex(connection.binding ?? noToken)
        })
      )
      const { error, frames, hash, payload } = yield* next
      assert.isUndefined(error)
      assert.strictEqual(hash, binding)
      assert.strictEqual(payload, hex(own.publicKey) + hex(withToken ? token : noToken))
      if (piece === 1 && size > 1) assert.strictEqual(frames, size)
    }
  }).pipe(Effect.provide(layer({})), Effect.scoped)

const main = async (): Promise<number> => {
  const why = await missing()
  if (why !== undefined) {
    console.log(`left out: ${why}`)
    return leftOut
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "test-long-flynn-"))
  try {
    const binary = path.join(folder, "flynn")
    const built = await output("go", ["build", "-o", binary, source])
    if (built instanceof Error) throw built
    const where = await output("go", ["list", "-f", "{{.Dir}}", "github.com/flynn/noise"])
    if (where instanceof Error) throw where
    const checked = checkVectors(fs.readFileSync(path.join(where.trim(), "vectors.txt"), "utf8"))
    assert.isAtLeast(checked, 20)
    console.log(`flynn/noise's vectors of XK and XKpsk0 to 3: ${checked}`)
    await Effect.runPromise(isDialed(binary))
    console.log(`flynn/noise dials: ${rounds.length} sessions`)
    await Effect.runPromise(dials(binary))
    console.log(`flynn/noise is dialed: ${rounds.length} sessions`)
    return 0
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

process.exitCode = await main()
