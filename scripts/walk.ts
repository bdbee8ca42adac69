/**
 * `npm run walk`: which files of `src` run code in one `net~shs` dial with an echo and a close, both sides in this
 * process.
 *
 * V8 counts the calls of each function (precise coverage). The counts are reset after a first dial, so that the loading
 * of modules, the building of layers and the binding of the listener are not in them. CONTRIBUTING.md has the walks
 * through these files: ordered lists in a section "The walks". An item is the file that its first backticks
 * name. An executed file that is on none of them is a leaf. A walk that names a file which does not exist fails.
 *
 * `--functions` prints the functions of each file too, `--json` everything for a program.
 */
import { existsSync, readFileSync } from "node:fs"
import { Session } from "node:inspector/promises"
import { setImmediate as turn } from "node:timers/promises"
import { parseArgs } from "node:util"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Connection from "../src/Connection.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import * as Identity from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Net from "../src/net/Net.ts"
import * as Shs from "../src/shs/Shs.ts"

const root = new URL("../", import.meta.url)
const source = new URL("src/", root)

// -----------------------------------------------------------------------------
// the walks of CONTRIBUTING.md
// -----------------------------------------------------------------------------

/** A list of files in reading order, relative to `src`. */
interface Walk {
  readonly title: string
  readonly files: ReadonlyArray<string>
}

const headingOf = (line: string) => /^(#+)\s+(.*)$/.exec(line)
const plain = (text: string) => text.replace(/[*_`]/g, "").replace(/:$/, "").trim()

/** The lines from the heading with this title to the next heading that is no deeper. */
const section = (markdown: string, title: string): ReadonlyArray<string> => {
  const lines = markdown.split("\n")
  const start = lines.findIndex((line) => headingOf(line)?.[2]?.trim() === title)
  if (start < 0) return []
  const depth = headingOf(lines[start] ?? "")?.[1]?.length ?? 0
  const rest = lines.slice(start + 1)
  const end = rest.findIndex((line) => (headingOf(line)?.[1]?.length ?? Number.POSITIVE_INFINITY) <= depth)
  return end < 0 ? rest : rest.slice(0, end)
}

/** The ordered lists of "The walks". A list's title is the heading above it, or else the last line of text. */
const parseWalks = (markdown: string): ReadonlyArray<Walk> => {
  const walks: Array<{ title: string; files: Array<string> }> = []
  let title = ""
  let headed = false
  for (const line of section(markdown, "The walks")) {
    const [, number, item] = /^(\d+)[.)]\s+(.*)$/.exec(line) ?? []
    if (item !== undefined) {
      if (number === "1") walks.push({ title, files: [] })
      const file = /`(?:src\/)?([^`]+\.ts)`/.exec(item)?.[1]
      if (file !== undefined) walks.at(-1)?.files.push(file)
      headed = false
      continue
    }
    const heading = headingOf(line)?.[2]
    if (heading !== undefined || (!headed && /^\S/.test(line))) title = plain(heading ?? line)
    headed ||= heading !== undefined
  }
  return walks
}

// -----------------------------------------------------------------------------
// a dial, both sides
// -----------------------------------------------------------------------------

const echo = (connection: Connection.Connection) =>
  connection.pull.pipe(
    Effect.flatMap(connection.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => Effect.void)
  )

/** One byte there and back, a goodbye, and the peer's. */
const dialed = (address: Multiserver.Target) =>
  Multiserver.dial(address).pipe(
    Effect.flatMap((connection) =>
      connection.write(new Uint8Array(1)).pipe(
        Effect.andThen(connection.pull),
        Effect.andThen(connection.end),
        Effect.andThen(connection.pull),
        Effect.catchIf(Cause.isDone, () => Effect.void)
      )
    ),
    Effect.scoped
  )

const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

/** Waits until all sockets are gone, and what their ends have set off has run. */
const gone = Effect.promise(async () => {
  while (sockets() > 0) await turn()
  for (let turns = 0; turns < 10; turns++) await turn()
})

const speaking = Multiserver.layer(["net~shs"]).pipe(
  Layer.provide([Net.layer(), Shs.layer()]),
  Layer.provide(Identity.layerEphemeral),
  Layer.provide(Sodium.layer)
)

// -----------------------------------------------------------------------------
// what ran
// -----------------------------------------------------------------------------

/** A file of `src`, and the functions of it that were called. */
interface Executed {
  readonly file: string
  readonly functions: ReadonlyArray<string>
}

/** Runs a dial for nothing, then another one, and answers what that one executed. */
const executed = Effect.gen(function* () {
  const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs")
  yield* Effect.forkScoped(listener.run(echo))
  const dial = Effect.andThen(dialed(listener.addresses()), gone)
  const session = new Session()
  session.connect()
  // Each time it is taken the counts begin anew.
  const take = Effect.promise(() => session.post("Profiler.takePreciseCoverage"))
  yield* Effect.promise(() => session.post("Profiler.enable"))
  yield* Effect.promise(() => session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false }))
  yield* Effect.andThen(dial, take)
  const { result } = yield* Effect.andThen(dial, take)
  session.disconnect()
  return result
    .filter(({ url }) => url.startsWith(source.href))
    .map(
      ({ functions, url }): Executed => ({
        file: url.slice(source.href.length),
        functions: functions
          .filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0)
          .map(({ functionName }) => functionName || "(anonymous)")
      })
    )
    .filter(({ functions }) => functions.length > 0)
    .sort((a, b) => (a.file < b.file ? -1 : 1))
})

// -----------------------------------------------------------------------------
// the output
// -----------------------------------------------------------------------------

const { values: flags } = parseArgs({
  options: { functions: { type: "boolean", default: false }, json: { type: "boolean", default: false } }
})

const files = await Effect.runPromise(executed.pipe(Effect.scoped, Effect.provide(speaking)))
const walks = parseWalks(readFileSync(new URL("CONTRIBUTING.md", root), "utf8"))
const missing = walks.flatMap((walk) => walk.files).filter((file) => !existsSync(new URL(file, source)))
const leaves = files.filter(({ file }) => !walks.some((walk) => walk.files.includes(file)))

const row = (file: string) => {
  const functions = files.find((each) => each.file === file)?.functions ?? []
  const count = functions.length === 0 ? "-" : String(functions.length)
  return `  ${count.padStart(3)}  ${file}${flags.functions ? `  ${functions.join(" ")}` : ""}`
}

/** On which walks a file is. */
const walksOf = (file: string) => {
  if (walks.length === 0) return ""
  const on = walks.filter((walk) => walk.files.includes(file)).map(({ title }) => title)
  return `  [${on.length === 0 ? "leaf" : on.join(", ")}]`
}

const print = () => {
  console.log(`A net~shs dial with an echo and a close runs code in ${files.length} files, both sides.`)
  console.log("The number is how many functions of the file ran; - means none in this dial.\n")
  for (const { file } of files) console.log(`${row(file)}${walksOf(file)}`)
  if (walks.length === 0) return console.log('\nCONTRIBUTING.md has no section "The walks" yet.')
  for (const walk of walks) console.log(`\n${walk.title}\n${walk.files.map(row).join("\n")}`)
  console.log(`\nLeaves: on no walk\n${leaves.map(({ file }) => row(file)).join("\n")}`)
}

if (flags.json) {
  console.log(JSON.stringify({ files, walks, leaves: leaves.map(({ file }) => file), missing }, null, 2))
} else print()
if (missing.length > 0) {
  console.error(`\nOn a walk, but not in src: ${missing.join(", ")}`)
  process.exitCode = 1
}
