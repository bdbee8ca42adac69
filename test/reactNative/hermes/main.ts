/**
 * The tests of all vectors, for the binary of Hermes. It prints a line of JSON for each test. Two are left out: one has
 * no vectors of its own, and its thousand handshakes take a minute. The other seals 65,536 frames.
 */
import "./globals.js"
import * as Effect from "effect/Effect"
import "../../xk/NoiseFrames.test.ts"
import "../../xk/NoiseHandshake.test.ts"
import "../../xk/NoiseProfile.test.ts"
import "../../shs/BoxStream.test.ts"
import "../../shs/ShsHandshake.test.ts"
import "../../shs/scripts.test.ts"
import { run } from "./harness.ts"

declare const print: (line: string) => void

const long = ["refuses each message with any byte changed", "after 65,536 frames"]

Effect.runFork(
  Effect.andThen(
    run(
      (name) => !long.some((words) => name.includes(words)),
      (line) => print(JSON.stringify(line))
    ),
    Effect.sync(() => print(JSON.stringify({ done: true })))
  )
)
