/** Fifty sequences of what peers may do, in an order that nobody thought of. `npm run fuzz` runs a million steps. */
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { type Command, connect } from "./commands.ts"
import { own } from "./model.ts"
import { sequences } from "./run.ts"

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** The outcomes without which fifty sequences have shown nothing. */
const reaches = [
  "connected dial",
  "connected listen",
  "closed dial end",
  "closed listen end",
  "closed dial LocallyClosed",
  "handshake-failed Displaced",
  "handshake-failed Draining",
  "handshake-failed Rejected",
  "handshake-failed TimedOut",
  "handshake-failed WrongNetwork",
  "refused DeniedByPolicy",
  "dial-failed Refused",
  "dial-failed TimedOut"
]

describe(`sequences with the seed ${seed} (FUZZ_SEED)`, () => {
  it("leave what the model says after each step: places, fds, fibers, timers and events", async () => {
    const tally = new Map(await sequences({ seed, runs: 50 }))
    assert.isAbove(tally.get("steps") ?? 0, 500)
    const missed = () => reaches.filter((outcome) => !tally.has(outcome))
    // By chance, fifty may show nothing of one outcome: then there are more, ten times at most.
    for (let more = 1; more <= 10 && missed().length > 0; more++) {
      for (const [what, times] of await sequences({ seed: seed + more, runs: 20 })) {
        tally.set(what, (tally.get(what) ?? 0) + times)
      }
    }
    assert.deepStrictEqual(missed(), [], [...tally].join(" "))
  })

  it("are made shorter when they fail, and are had again by what they say", async () => {
    const broken: Command = {
      check: ({ visitors }) => visitors.size > 1,
      run: () => Promise.reject(new Error("two are one too many")),
      toString: () => "count"
    }
    const among = [fc.constant(connect("memory", own)), fc.constant(broken)]
    const messageOf = (error: Error) => error.message
    const message = await sequences({ seed, runs: 50, among }).then(() => "", messageOf)
    assert.match(message, /^two are one too many\n {2}connect memory\n {2}connect memory\n {2}count\nagain: /)
    const [, path = "", commands = ""] = /--path (\S+) --commands (\S+)/.exec(message) ?? []
    const again = await sequences({ seed, runs: 1, among, replay: { path, commands } }).then(() => "", messageOf)
    // How the shorter one is had again in its turn may be said in another way.
    assert.strictEqual(again.split("\nagain: ")[0], message.split("\nagain: ")[0])
  })
})
