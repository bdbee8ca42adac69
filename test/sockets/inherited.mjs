/**
 * A program that has inherited sockets (activate.mjs). Says on stdout, as JSON, how the layers of InheritedSockets do.
 *
 * node inherited.mjs PORT PRIVATE SHARED: descriptor 3 is a TCP socket of [::]:PORT, 4 and 5 are unix sockets of these
 * paths, 6 is a file, and 7 a unix socket that is connected
 */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Multiserver from "../../dist/Multiserver.js"
import * as Net from "../../dist/net/Net.js"
import * as Noauth from "../../dist/noauth/Noauth.js"
import * as InheritedSockets from "../../dist/sockets/InheritedSockets.js"
import * as Unix from "../../dist/unix/Unix.js"

const [port, own = "", shared = ""] = process.argv.slice(2)
const names = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]
const listening = 3
process.env.LISTEN_FDNAMES = "a:b:c"

/** What a layer fails with, or that it does not. */
const outcome = (layer) =>
  Effect.map(Effect.result(Effect.scoped(Layer.build(layer))), (built) =>
    Result.isSuccess(built) ? "built" : [built.failure.reason._tag, built.failure.message]
  )

/** The outcome under other variables. */
const under = (changed) =>
  Effect.suspend(() => {
    const before = { ...process.env }
    Object.assign(process.env, changed)
    return Effect.ensuring(
      outcome(InheritedSockets.layerConfig(`net:[::]:${port}`)),
      Effect.sync(() => Object.assign(process.env, before))
    )
  })

/** What a child process sees. */
const childScript = `
  const open = (fd) => { try { return require("fs").fstatSync(fd).isSocket() } catch { return false } }
  console.log(JSON.stringify({
    variables: ${JSON.stringify(names)}.filter((name) => name in process.env),
    sockets: [3, 4, 5, 6, 7].filter(open)
  }))`

const addresses = `net:0.0.0.0:${port};unix:${own}~noauth;unix:${shared}`

const program = Effect.gen(function* () {
  const failures = {
    pid: yield* under({ LISTEN_PID: "banana" }),
    otherPid: yield* under({ LISTEN_PID: String(process.ppid) }),
    empty: yield* under({ LISTEN_FDS: "" }),
    tooMany: yield* under({ LISTEN_FDS: "4" }),
    none: yield* under({ LISTEN_FDS: "0" }),
    stdio: yield* outcome(InheritedSockets.layer([0], addresses)),
    file: yield* outcome(InheritedSockets.layer([6], addresses)),
    connection: yield* outcome(InheritedSockets.layer([7], addresses)),
    address: yield* outcome(InheritedSockets.layer([], "net:h"))
  }
  for (const [name, value] of Object.entries({ LISTEN_PID: process.pid, LISTEN_FDS: listening })) {
    process.env[name] = String(value)
  }
  const served = yield* Effect.gen(function* () {
    const peers = []
    yield* Effect.flip(Multiserver.listen(`unix:${shared}`)).pipe(
      Effect.tap((error) => Effect.sync(() => peers.push(error.reason.message)))
    )
    const listener = yield* Multiserver.listen([`net:0.0.0.0:${port}`, `unix:${own}~noauth`])
    yield* Effect.forkScoped(listener.run(({ peer }) => Effect.sync(() => peers.push(peer._tag))))
    for (const address of [`net:127.0.0.1:${port}`, `unix:${own}~noauth`]) {
      const connection = yield* Multiserver.dial(address)
      yield* Effect.ignore(connection.pull)
    }
    // A socket is taken once.
    const twice = yield* Effect.flip(Multiserver.listen(`unix:${own}~noauth`))
    const child = JSON.parse(execFileSync(process.execPath, ["-e", childScript], { encoding: "utf8" }))
    return { peers, twice: twice.reason._tag, child, again: yield* outcome(InheritedSockets.layerConfig("memory:x")) }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Multiserver.layer(["net", "unix", "unix~noauth"]).pipe(
        Layer.provide([Net.layer(), Unix.layer(), Noauth.layer()]),
        Layer.provide(InheritedSockets.layerConfig(addresses))
      )
    )
  )
  // The listener has stopped, and its file is not its to remove.
  console.log(JSON.stringify({ ...failures, ...served, fileStays: existsSync(own) }))
})
Effect.runFork(Effect.orDie(program))
