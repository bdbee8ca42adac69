/**
 * RPC between two processes that know each other by key: `npm run build`, then `node examples/rpc-processes.ts`. A
 * server is called, streams go both ways, a stranger is refused, and the server is killed and started again meanwhile.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Option, Result, Schedule, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import {
  Identity,
  Multiserver,
  MultiserverSocketServer,
  Net,
  NodeIdentity,
  NodeMultiserver,
  Noise,
  Policy,
  Sodium
} from "effect-multiserver/node"
import * as Calls from "./rpc.ts"

// -----------------------------------------------------------------------------
// the server's process: KEY-FILE CLIENT-KEY ADDRESS ADDRESS
// -----------------------------------------------------------------------------

/** The listener of a server, which serves until the scope closes. */
const listening = <E, R>(server: Layer.Layer<MultiserverSocketServer.Listening, E, R>) =>
  Effect.map(Layer.build(server), (context) => Context.get(context, MultiserverSocketServer.Listening))

/** Serves calls and uploads at these addresses, for one client. Prints where, and stays. */
const serving = (keyFile: string, client: string, calls: string, uploads: string) =>
  Effect.gen(function* () {
    const { authorize } = yield* Policy.makeKeys([client])
    const stack = Multiserver.layer(["net~noise"]).pipe(
      Layer.provide([Net.layer(), Noise.layer({ authorize })]),
      Layer.provide([NodeIdentity.layerFileOrCreate(keyFile), Sodium.layer])
    )
    yield* Effect.gen(function* () {
      const listeners = [yield* listening(Calls.server(calls)), yield* listening(Calls.uploadServer(uploads))]
      yield* Console.log(listeners.flatMap(({ addresses }) => addresses()).join(" "))
      return yield* Effect.never
    }).pipe(Effect.scoped, Effect.provide(stack))
  })

// -----------------------------------------------------------------------------
// the client's process
// -----------------------------------------------------------------------------

/** Starts the server, as long as the scope. Gives the addresses that it prints. */
const start = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { spawn } = yield* ChildProcessSpawner.ChildProcessSpawner
    const script = fileURLToPath(import.meta.url)
    const handle = yield* spawn(ChildProcess.make(process.execPath, [script, ...args], { stderr: "inherit" }))
    const line = yield* Stream.runHead(Stream.splitLines(Stream.decodeText(handle.stdout)))
    const [calls = "", uploads = ""] = Option.getOrElse(line, () => "").split(" ")
    return { handle, calls, uploads }
  })

const portOf = (address: string): string => /:(\d+)~/.exec(address)?.[1] ?? "0"

const calling = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "rpc-"))),
    (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
  )
  const own = yield* Effect.provide(Identity.generate, Sodium.layer)
  const key = Identity.formatPublicKey(own.publicKey)
  const keyFile = path.join(folder, "secret")
  const first = yield* start(keyFile, key, "net:127.0.0.1:0~noise", "net:127.0.0.1:0~noise")

  yield* Effect.gen(function* () {
    const client = yield* Calls.connect(first.calls)
    yield* Console.log(`the server knows us: ${(yield* client.WhoAmI()) === key}`)
    const last = yield* Stream.runLast(client.Count({ to: 1000 }))
    yield* Console.log(`it counts to ${Option.getOrThrow(last)}`)
    const chunks = Stream.map(Stream.range(1, 64), () => new Uint8Array(64 * 1024))
    yield* Console.log(`it takes ${yield* Calls.upload(first.uploads, chunks)} bytes`)

    const stranger = NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral))
    const answer = yield* Effect.result(Effect.scoped(Effect.provide(Calls.connect(first.calls), stranger)))
    const said = Result.isFailure(answer) ? answer.failure.message : "it is let in"
    yield* Console.log(`a stranger: ${said.replace(/^dial \S+ /, "")}`)

    yield* first.handle.kill({ killSignal: "SIGKILL" })
    const again = (address: string) => `net:127.0.0.1:${portOf(address)}~noise`
    yield* start(keyFile, key, again(first.calls), again(first.uploads))
    // The same client: it has dialed again.
    const knows = yield* Effect.retry(client.WhoAmI(), { schedule: Schedule.spaced("100 millis"), times: 300 })
    yield* Console.log(`after a restart it knows us: ${knows === key}`)
  }).pipe(
    Effect.scoped,
    Effect.provide(NodeMultiserver.layer().pipe(Layer.provide(Layer.succeed(Identity.Identity, own))))
  )
}).pipe(Effect.scoped)

// -----------------------------------------------------------------------------

const [, , keyFile, client, calls, uploads] = process.argv
const isClient = keyFile === undefined || client === undefined || calls === undefined || uploads === undefined
if (isClient) NodeRuntime.runMain(Effect.provide(calling, NodeServices.layer))
else NodeRuntime.runMain(Effect.provide(serving(keyFile, client, calls, uploads), NodeServices.layer))
