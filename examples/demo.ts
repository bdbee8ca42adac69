/**
 * `npm start`: one server over TCP and in memory, both with secret-handshake, dialed by a friend, by the npm package
 * multiserver in a process of its own, and by a stranger who is refused.
 *
 * In your own code, import from "effect-multiserver/Address" and so on instead of "../src/Address.ts".
 */
import { createHash, randomBytes } from "node:crypto"
import { fileURLToPath } from "node:url"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import type * as Connection from "../src/Connection.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import * as Events from "../src/Events.ts"
import * as Identity from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import * as Net from "../src/net/Net.ts"
import * as Shs from "../src/shs/Shs.ts"

const MiB = 1024 * 1024

// -----------------------------------------------------------------------------
// a process that speaks two stacks
// -----------------------------------------------------------------------------

/** Everybody here speaks the same stacks, each with a key pair and rules of their own. */
const speaking = <R = never>(pair: Identity.KeyPair, rules: Shs.Options<never, R> = {}) =>
  Multiserver.layer(["net~shs", "memory~shs"]).pipe(
    Layer.provide(Shs.layer(rules)),
    Layer.provide(Layer.succeed(Identity.Identity, pair))
  )

/** What the server does with each connection: it writes back what arrives. Returning says goodbye. */
const echo = (connection: Connection.Connection) =>
  connection.pull.pipe(
    Effect.flatMap(connection.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )

// -----------------------------------------------------------------------------
// what came back
// -----------------------------------------------------------------------------

const Total = Schema.Struct({ bytes: Schema.Int, sha256: Schema.String })
const Exchange = Schema.Struct({ sent: Total, received: Total })

/** Counts and hashes what passes. */
const meter = () => {
  const hash = createHash("sha256")
  let bytes = 0
  return {
    add: (chunk: Uint8Array) => {
      hash.update(chunk)
      bytes += chunk.length
    },
    total: () => ({ bytes, sha256: hash.digest("hex") })
  }
}

/** Sends random bytes, and reads until the peer's goodbye at the same time. */
const exchange = Effect.fnUntraced(function* (connection: Connection.Connection, bytes: number) {
  const sent = meter()
  const received = meter()
  const send = Effect.gen(function* () {
    for (let left = bytes; left > 0; left -= MiB / 4) {
      const chunk = randomBytes(MiB / 4)
      sent.add(chunk)
      yield* connection.write(chunk)
    }
    yield* connection.end
  })
  const receive = connection.pull.pipe(
    Effect.map((chunks) => chunks.forEach(received.add)),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )
  yield* Effect.all([send, receive], { concurrency: "unbounded" })
  return { sent: sent.total(), received: received.total() }
})

// -----------------------------------------------------------------------------
// those who dial
// -----------------------------------------------------------------------------

/** We dial, as a friend whom the server lets in. */
const dialed = (address: Address.Address, bytes: number) =>
  Effect.scoped(Effect.flatMap(Multiserver.dial(address), (connection) => exchange(connection, bytes)))

/** npm multiserver dials, with a key file that we have written. */
const dialedByNpm = Effect.fnUntraced(function* (address: Address.Address, keyFile: string, bytes: number) {
  const script = fileURLToPath(new URL("npm-peer.mjs", import.meta.url))
  const spawner = yield* ChildProcessSpawner
  const output = yield* spawner.string(
    ChildProcess.make(process.execPath, [script, Address.format(address), keyFile, String(bytes)], {
      stderr: "inherit"
    })
  )
  return yield* Schema.decodeEffect(Schema.fromJsonString(Exchange))(output)
})

/** A stranger dials, and has to fail: the error says in which handshake, and after what. */
const refused = (address: Address.Address) =>
  Effect.flip(Effect.scoped(Multiserver.dial(address))).pipe(
    Effect.filterOrFail(
      (error) => error._tag === "DialError" && error.reason._tag === "HandshakeError",
      () => new Error("the stranger was not refused")
    )
  )

// -----------------------------------------------------------------------------
// the demo
// -----------------------------------------------------------------------------

const size = (bytes: number) => `${bytes / MiB} MiB`
const row = (...cells: ReadonlyArray<string>) => {
  const widths = [18, 12, 8, 8, 9]
  return `  ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" ")}`.trimEnd()
}

/** One line of the table; fails when not the same bytes came back. */
const line = <E, R>(who: string, over: string, exchanged: Effect.Effect<typeof Exchange.Type, E, R>) =>
  Effect.gen(function* () {
    const [took, { received, sent }] = yield* Effect.timed(exchanged)
    if (!Equal.equals(sent, received)) {
      return yield* Effect.fail(new Error(`${who} over ${over}: other bytes came back than were sent`))
    }
    const millis = `${Math.round(Duration.toMillis(took))} ms`
    return row(who, over, size(sent.bytes), size(received.bytes), "same", millis)
  })

const demo = Effect.gen(function* () {
  // Identities: secret files in a temporary folder, mode 0600, in the format of Secure Scuttlebutt.
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "multiserver-demo-" })
  const create = Effect.fnUntraced(function* (file: string) {
    const pair = yield* Identity.generate
    yield* Identity.save(file, pair)
    return pair
  })
  const server = yield* create(`${folder}/secret`)
  const friend = yield* create(`${folder}/friend`)
  const npm = yield* create(`${folder}/npm`)
  const stranger = yield* Identity.generate
  yield* Console.log(`A key in ${folder}/secret: ${Identity.formatPublicKey(server.publicKey)}`)

  // The server: two addresses, an echo, and two keys that may come in.
  const friends = [friend.publicKey, npm.publicKey]
  const authorize = ({ publicKey }: Shs.Applicant) =>
    Effect.succeed(friends.some((each) => Equal.equals(each, publicKey)))
  let said = ""
  const onEvent: Events.Sink = (event) =>
    Effect.sync(() => {
      if (event._tag === "HandshakeFailed") said = event.error.message
    })
  const listener = yield* Multiserver.listen(["net:127.0.0.1:0~shs", "memory:demo~shs"]).pipe(
    Effect.provide(speaking(server, { authorize }).pipe(Layer.provide(Events.layer(onEvent))))
  )
  yield* Effect.forkScoped(listener.run(echo))
  const [net, memory] = listener.addresses()
  if (net === undefined || memory === undefined) return yield* Effect.die("two addresses were bound")
  yield* Console.log(`A server listens on\n  ${net}\n  ${memory}\n`)

  // Who dials it, over what, and what comes back.
  yield* Console.log(row("who", "over", "sent", "back", "sha-256", "time"))
  yield* Effect.gen(function* () {
    yield* Effect.flatMap(line("we", net.stack, dialed(net, 16 * MiB)), Console.log)
    yield* Effect.flatMap(line("we", memory.stack, dialed(memory, 16 * MiB)), Console.log)
  }).pipe(Effect.provide(speaking(friend)))
  yield* Effect.flatMap(line("npm multiserver", net.stack, dialedByNpm(net, `${folder}/npm`, 4 * MiB)), Console.log)

  // A stranger passes the handshake's cryptography, and the server's rules say no.
  const error = yield* Effect.provide(refused(net), speaking(stranger))
  yield* Console.log(row("a stranger", net.stack, "refused"))
  yield* Console.log(`\nThe stranger got a ${error._tag}, ${error.isRetryable ? "" : "not "}to be retried:`)
  yield* Console.log(`  ${error.message}\nThe server's event knows why:\n  ${said}`)
})

demo.pipe(
  Effect.scoped,
  Effect.provide([Net.layer(), Memory.layer(), Sodium.layer, NodeServices.layer]),
  Effect.timeout("2 minutes"),
  NodeRuntime.runMain
)
