/** Fifty sequences of what peers may do, in an order that nobody thought of. `npm run fuzz` runs a million steps. */
import { assert, describe, it } from "@effect/vitest"
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
    const tally = await sequences({ seed, runs: 50 })
    assert.isAbove(tally.get("steps") ?? 0, 500)
    assert.deepStrictEqual(
      reaches.filter((outcome) => !tally.has(outcome)),
      [],
      [...tally].join(" ")
    )
  })
})
