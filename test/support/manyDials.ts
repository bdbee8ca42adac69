/** Dials a port 400 times at once, and says how those ended and whether the process could open files meanwhile. */
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"

const [host = "", port = "", dials = "400"] = process.argv.slice(2)
const outcomes: Record<string, number> = {}
const count = (outcome: string) => {
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
}
let files = 0
const watch = setInterval(() => {
  const opened: Array<number> = []
  try {
    // As many as a process needs for what it does besides.
    for (let i = 0; i < 16; i++) opened.push(fs.openSync("/dev/null", "r"))
    files++
  } catch (error) {
    count(String(error))
  }
  for (const each of opened) fs.closeSync(each)
}, 5)

const dial = Multiserver.dial(`net:${host}:${port}`, { timeouts: { connect: "400 millis" } }).pipe(
  Effect.scoped,
  Effect.match({
    onSuccess: () => count("connected"),
    onFailure: (error) =>
      count(
        error._tag === "DialError" && error.reason._tag === "TimedOut"
          ? `TimedOut ${error.reason.phase}`
          : error.message
      )
  })
)

await Effect.runPromise(
  Effect.all(
    Array.from({ length: Number(dials) }, () => dial),
    { concurrency: "unbounded", discard: true }
  ).pipe(Effect.provide(Multiserver.layer(["net"]).pipe(Layer.provide(Net.layer()))))
)
clearInterval(watch)
console.log(JSON.stringify({ outcomes, files }))
