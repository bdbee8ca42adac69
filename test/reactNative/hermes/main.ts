/**
 * The tests of all vectors, for the binary of Hermes. It prints a line of JSON for each test. One test is left out: it
 * has no vectors of its own, and its thousand handshakes take a minute.
 */
import "./globals.js"
import * as Effect from "effect/Effect"
import "../../noise/NoiseHandshake.test.ts"
import "../../noise/NoiseProfile.test.ts"
import "../../shs/BoxStream.test.ts"
import "../../shs/ShsHandshake.test.ts"
import "../../shs/scripts.test.ts"
import { run } from "./harness.ts"

declare const print: (line: string) => void

Effect.runFork(
  Effect.andThen(
    run(
      (name) => !name.includes("refuses each message with any byte changed"),
      (line) => print(JSON.stringify(line))
    ),
    Effect.sync(() => print(JSON.stringify({ done: true })))
  )
)
