/**
 * A client for servers that attack it: `APPKEY=... node test/client-target.ts ADDRESS`, the key in base64. Dials, sends
 * `ping` and its goodbye, reads to the end, and prints `{"ok","tag"}`: `end` after the peer's goodbye, otherwise the
 * tag of what failed. Exits with 0.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AppKey from "../src/AppKey.ts"
import { exchange, multiserver } from "./hostile/ours.ts"

/** Once connected, a peer may be silent for as long as it likes: this is how long the client is. */
const patience = "30 seconds"

const [address = ""] = process.argv.slice(2)
const appKey = Option.getOrUndefined(AppKey.parse(process.env.APPKEY ?? ""))

if (appKey === undefined) {
  process.stderr.write("APPKEY: expected base64 of 32 bytes\n")
  process.exitCode = 2
} else {
  const outcome = await exchange(address).pipe(
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.succeed({ ok: false, tag: "TimedOut" }) }),
    Effect.provide(multiserver(appKey)),
    Effect.runPromise
  )
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}
