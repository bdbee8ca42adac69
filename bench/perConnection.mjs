/**
 * What one connection costs in one process that has both of its sides: heap, and Effect operations. Neither depends on
 * what else the machine does, so that a change of one percent shows.
 *
 *     node bench/perConnection.mjs                           this build
 *     node bench/perConnection.mjs --dist /other/dist        this build beside another one, and the ratio
 *     ... --stacks net~shs,memory --rounds 5 --connections 4000 --dials 200 --json
 *
 * The other build is loaded with the Effect of its own checkout. Only what both doors (`node.js`) have is used.
 *
 * heap: bytes of `heapUsed` for an open connection that has nothing to do. Each dialed connection has sent one byte,
 * has pulled the byte that came back, and is kept with its scope; at the other end an echo handler waits in `pull`.
 * It is the difference between `--connections` of them open and none, after a full garbage collection each time,
 * divided by their number. Buffers outside of V8's heap are not in it.
 *
 * external: the same difference of `external`, which is the memory of buffers outside of V8's heap.
 *
 * operations: what Effect itself counts as operations (`currentOpCount`, by which it decides when a fiber yields), of
 * all fibers of both sides, for one scoped dial with one byte there and back, until the fibers of both sides have
 * ended. They are the steps of the run loop, and the continuations that run without such a step. The fiber that dials
 * is among them.
 *
 * On a machine that had ten times as much to do as it has cores, the operations were the same in each run, and heap
 * within 0.3 %. The build before the redesign of the core: net~shs 12,950 B and 184 operations, net 9,170 and 126,
 * memory 8,230 and 141.
 *
 * Every figure is the median of several in a process. The builds take turns, each round with a new process for each;
 * the ratio is that of the two processes of a round, and the median of these is printed.
 */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout, setImmediate as turn } from "node:timers/promises"
import { fileURLToPath, pathToFileURL } from "node:url"
import { parseArgs, promisify } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { snapshot } from "./snapshot.mjs"
import { median } from "./statistics.mjs"
import { layout } from "./tables.mjs"

const { values: flags } = parseArgs({
  options: {
    dist: { type: "string" },
    stacks: { type: "string", default: "net~shs,net,memory,memory~shs,ws~shs,unix~noise" },
    rounds: { type: "string", default: "2" },
    connections: { type: "string", default: "1000" },
    dials: { type: "string", default: "100" },
    json: { type: "boolean", default: false },
    // What the processes of a round are started with.
    measure: { type: "string" }
  }
})

const times = async (count, f) => {
  const results = []
  for (let i = 0; i < count; i++) results.push(await f())
  return results
}

// -----------------------------------------------------------------------------
// one process: one build, one stack
// -----------------------------------------------------------------------------

const collectGarbage = async () => {
  setFlagsFromString("--expose-gc")
  const gc = runInNewContext("gc")
  for (let i = 0; i < 3; i++) {
    gc({ type: "major", execution: "sync", flavor: "last-resort" })
    await setTimeout(20)
  }
}

const memory = async () => {
  await collectGarbage()
  const { external, heapUsed } = process.memoryUsage()
  return { external, heap: heapUsed }
}

/** Adds up the operations of all fibers from now on. `stop` leaves Effect as it was. */
const countOperations = (Effect) => {
  const prototype = Object.getPrototypeOf(Effect.runFork(Effect.void))
  const { runLoop } = prototype
  if (typeof runLoop !== "function") throw new Error("this Effect has no FiberImpl.runLoop: count in another way")
  let total = 0
  prototype.runLoop = function (effect) {
    try {
      return runLoop.call(this, effect)
    } finally {
      total += this.currentOpCount
    }
  }
  return {
    total: () => total,
    stop: () => {
      prototype.runLoop = runLoop
    }
  }
}

/** Waits until no fiber has run for some turns of the event loop. */
const quiet = async (counter) => {
  for (let turns = 0, before = counter.total(); turns < 20; turns++) {
    await (turns % 10 === 9 ? setTimeout(1) : turn())
    if (counter.total() !== before) turns = 0
    before = counter.total()
  }
}

const places = (folder) => ({
  net: "net:127.0.0.1:0",
  ws: "ws://127.0.0.1:0",
  memory: "memory:bench",
  unix: `unix:${folder}/socket`
})

const given = (layer) => (typeof layer === "function" ? layer() : layer)

/** A listener that echoes, and what dials it, from one build and the copy of Effect that it finds. */
const peers = async (dist, stack, folder) => {
  const { resolve } = createRequire(join(dist, "node.js"))
  const [Cause, Effect, Exit, Layer, ManagedRuntime, Scope] = await Promise.all(
    ["Cause", "Effect", "Exit", "Layer", "ManagedRuntime", "Scope"].map(
      (name) => import(pathToFileURL(resolve(`effect/${name}`)))
    )
  )
  const own = await import(pathToFileURL(join(dist, "node.js")))
  const protocols = ["Net", "Unix", "WebSocket", "Memory", "Shs", "Noise"].map((name) => given(own[name].layer))
  const { runPromise } = ManagedRuntime.make(
    own.Multiserver.layer([stack]).pipe(
      Layer.provide(Layer.mergeAll(...protocols)),
      Layer.provide(own.Identity.layerEphemeral),
      Layer.provide(own.Sodium.layer)
    )
  )
  const echo = (connection) =>
    connection.pull.pipe(
      Effect.flatMap(connection.writeAll),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.void)
    )
  const [transport, ...transforms] = stack.split("~")
  const here = [places(folder)[transport], ...transforms].join("~")
  const address = await runPromise(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const listener = yield* Scope.provide(own.Multiserver.listen(here), scope)
      yield* Effect.forkIn(listener.run(echo), scope)
      return own.Address.format(listener.addresses()[0])
    })
  )
  const byte = new Uint8Array(1)
  const dialed = own.Multiserver.dial(address)
  const ping = (connection) => Effect.andThen(connection.write(byte), connection.pull)
  return {
    Effect,
    once: () => runPromise(Effect.scoped(Effect.flatMap(dialed, ping))),
    /** Fills an array with connections and the scopes that hold them. */
    open: async (count) => {
      const kept = []
      const one = Effect.gen(function* () {
        const scope = yield* Scope.make()
        const connection = yield* Scope.provide(dialed, scope)
        yield* ping(connection)
        kept.push(scope, connection)
      })
      await runPromise(Effect.forEach(Array.from({ length: count }), () => one, { concurrency: 16, discard: true }))
      return kept
    },
    close: (kept) =>
      runPromise(
        Effect.forEach(
          kept.filter((_, i) => i % 2 === 0),
          (scope) => Scope.close(scope, Exit.void),
          { concurrency: 16, discard: true }
        )
      )
  }
}

const operationsOf = async (peer, dials) => {
  const counter = countOperations(peer.Effect)
  const counts = await times(dials, async () => {
    const before = counter.total()
    await peer.once()
    await quiet(counter)
    return counter.total() - before
  })
  counter.stop()
  return median(counts)
}

const sockets = () => process.getActiveResourcesInfo().filter((name) => name.endsWith("Wrap")).length

/** What an open connection takes: memory with so many of them, less what there is without. */
const memoryOf = async (peer, connections) => {
  const socketsBefore = sockets()
  const before = await memory()
  let kept = await peer.open(connections)
  const after = await memory()
  await peer.close(kept)
  kept = undefined
  // A WebSocket has its closing handshake yet to finish.
  while (sockets() > socketsBefore) await setTimeout(5)
  return {
    heap: (after.heap - before.heap) / connections,
    external: (after.external - before.external) / connections
  }
}

const measure = async ({ dist, stack, connections, dials }) => {
  const folder = mkdtempSync(join(tmpdir(), "per-connection-"))
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
  const peer = await peers(dist, stack, folder)
  await times(200, peer.once)
  const operations = await operationsOf(peer, dials)
  // Pools fill up and code is compiled in the first two rounds, and stays.
  await times(2, () => memoryOf(peer, connections))
  const taken = await times(3, () => memoryOf(peer, connections))
  const [heap, external] = ["heap", "external"].map((key) => median(taken.map((each) => each[key])))
  return { heap, external, operations }
}

// -----------------------------------------------------------------------------
// all of them, in turns
// -----------------------------------------------------------------------------

const figures = ["heap", "external", "operations"]

const started = async (options) => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    fileURLToPath(import.meta.url),
    ...["--measure", JSON.stringify(options)]
  ])
  return JSON.parse(stdout)
}

/** One stack: each build's figures of all rounds. Every second round begins with the other build. */
const roundsOf = async (builds, rounds, options) => {
  const results = builds.map(() => [])
  for (let round = 0; round < rounds; round++) {
    const order = builds.map((_, i) => i)
    for (const i of round % 2 === 0 ? order : order.toReversed())
      results[i].push(await started({ ...options, dist: builds[i] }))
  }
  return results
}

const medians = (results) => Object.fromEntries(figures.map((key) => [key, median(results.map((each) => each[key]))]))

/** The paired ratios of two builds. It is 1 where neither takes anything. */
const ratios = ([ours, other]) =>
  Object.fromEntries(
    figures.map((key) => [key, median(ours.map((each, round) => (each[key] + 1e-9) / (other[round][key] + 1e-9)))])
  )

const digits = { heap: 0, external: 0, operations: 1 }
const shown = (values) => figures.map((key) => values[key].toFixed(digits[key]))

const main = async () => {
  const builds = [join(snapshot(), "dist"), ...(flags.dist === undefined ? [] : [resolve(flags.dist)])]
  const titles = builds.map((_, i) => (i === 0 ? "this build" : resolve(flags.dist)))
  const rows = []
  const results = {}
  for (const stack of flags.stacks.split(",")) {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${stack}`)
    const [connections, dials] = [Number(flags.connections), Number(flags.dials)]
    const all = await roundsOf(builds, Number(flags.rounds), { stack, connections, dials })
    results[stack] = Object.fromEntries(titles.map((title, i) => [title, medians(all[i])]))
    titles.forEach((title) => rows.push([stack, title, ...shown(results[stack][title])]))
    if (all.length < 2) continue
    results[stack].ratio = ratios(all)
    rows.push([stack, "ratio", ...figures.map((key) => results[stack].ratio[key].toFixed(3))])
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K")
  if (flags.json) console.log(JSON.stringify(results, null, 2))
  else console.log(layout([["a connection, both sides", "", "heap B", "external B", "operations"], ...rows]))
}

if (flags.measure === undefined) await main()
else {
  console.log(JSON.stringify(await measure(JSON.parse(flags.measure))))
  process.exit()
}
