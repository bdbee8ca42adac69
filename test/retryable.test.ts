/** One question that any error of a program can be asked: `Effect.retry({ while: Multiserver.isRetryable })`. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import { ConnectionError, Reset, Tampered } from "../src/ConnectionError.ts"
import { AllFailed, DialError, NotDialable, Refused } from "../src/DialError.ts"
import { isRetryable } from "../src/Multiserver.ts"

const attempts = {
  refused: { address: "net:h:1", reason: new Refused() },
  never: { address: "net:h:0", reason: new NotDialable({ detail: "port 0 is for listening" }) }
}
const refused = new DialError(attempts.refused)
const never = new DialError(attempts.never)

describe("isRetryable", () => {
  const cases: ReadonlyArray<readonly [string, unknown, boolean]> = [
    ["a dial that was refused", refused, true],
    ["an address that can't be dialed", never, false],
    [
      "several of which one may succeed",
      new DialError({ address: "a;b", reason: new AllFailed({ attempts: [attempts.never, attempts.refused] }) }),
      true
    ],
    [
      "a connection that was reset",
      new ConnectionError({ remote: "net:h:1", reason: new Reset({ code: "ECONNRESET" }) }),
      true
    ],
    [
      "a connection whose bytes were changed",
      new ConnectionError({ remote: "net:h:1", reason: new Tampered() }),
      false
    ],
    ["a timeout of Effect's", new Cause.TimeoutError(), true],
    [
      "a socket of Effect's whose dial was refused",
      new Socket.SocketError({ reason: new Socket.SocketOpenError({ kind: "Unknown", cause: refused }) }),
      true
    ],
    [
      "a socket of Effect's that can't be dialed",
      new Socket.SocketError({ reason: new Socket.SocketOpenError({ kind: "Unknown", cause: never }) }),
      false
    ],
    ["an error of the program's own", new Error("out of coffee"), false],
    ["one with a reason of its own, and a cause that says", { reason: "network", cause: refused }, true],
    ["several, of which one may succeed", new AggregateError([never, refused]), true],
    ["several, of which none can", new AggregateError([never, new Error("out of coffee")]), false],
    [
      "one that throws when it is asked",
      {
        get isRetryable() {
          throw new Error("not now")
        }
      },
      false
    ],
    ["one whose answer is no boolean", { isRetryable: "yes" }, false],
    ["no object", undefined, false]
  ]

  it.each(cases)("answers for %s", (_, error, expected) => {
    assert.strictEqual(isRetryable(error), expected)
  })

  it("ends for errors that hold each other", () => {
    const first: { cause?: unknown } = {}
    const second = { cause: first }
    first.cause = second
    assert.isFalse(isRetryable(first))
  })

  it.effect("compiles where Effect.timeout has added its error", () =>
    Effect.gen(function* () {
      let tries = 0
      const dial = Effect.suspend(() => (++tries < 3 ? Effect.fail(refused) : Effect.fail(never)))
      const error = yield* dial.pipe(
        Effect.timeout("1 minute"),
        Effect.retry({ times: 9, while: isRetryable }),
        Effect.flip
      )
      assert.strictEqual(error, never)
      assert.strictEqual(tries, 3)
    })
  )
})
