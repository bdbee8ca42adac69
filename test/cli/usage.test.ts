import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import manifest from "../../package.json" with { type: "json" }
import { inside } from "./inside.ts"
import { eventsOf, run } from "./support.ts"

describe.concurrent("wrong usage exits 2, says why on stderr and leaves stdout alone", () => {
  const wrong: ReadonlyArray<readonly [args: string, reason: string]> = [
    ["", "MissingCommand"],
    ["frobnicate", "UnknownSubcommand"],
    ["connect --frobnicate", "UnrecognizedOption"],
    ["connect", "MissingArgument"],
    ["connect net:h:1 net:h:2", "UnexpectedArgument"],
    ["connect net:h:1 --timeout soon", "BadValue"],
    ["connect net:h:1 --linger soon", "BadValue"],
    ["connect net:h:1 --timeout 0", "BadValue"],
    ["listen net:127.0.0.1:0 --echo --recv-only", "Conflict"],
    ["listen net:127.0.0.1:0 --echo --linger 1s", "Conflict"],
    ["connect net:h:1 --app-key c2hvcnQ=", "BadValue"],
    ["connect net:h:1 --app-key a --app-key-file b", "Conflict"],
    ["connect net:h:1 --socks 127.0.0.1", "BadValue"],
    ["connect net:h:1 --socks 127.0.0.1:1~shs", "BadValue"],
    ["connect net:h:1 --socks unix:relative~shs", "BadValue"],
    ["connect net:h:1 --socks 127.0.0.1:1", "Conflict"],
    ["probe net:h:1;ws://h --socks unix:/run/tor/socks", "Conflict"],
    ["bridge net:127.0.0.1:0 ws://h --socks 127.0.0.1:1", "Conflict"],
    ["connect net:h:1 --proxy http://proxy.example:3128", "Conflict"],
    ["connect ws://h --proxy socks5://proxy.example:1080", "BadValue"],
    ["connect ws://h --proxy http://me:password@proxy.example:3128", "BadValue"],
    ["connect net:h:1 --origin app.example", "BadValue"],
    ["listen ws://127.0.0.1:0 --origin https://app.example/", "BadValue"],
    ["listen wss://127.0.0.1:0 --tls-key key.pem", "Conflict"],
    ["listen net:127.0.0.1:0 --tls-key key.pem --tls-cert cert.pem", "Conflict"],
    ["listen ws://127.0.0.1:0 --tls-key key.pem --tls-cert cert.pem", "Conflict"],
    ["listen net:127.0.0.1:0 --origin https://app.example", "Conflict"],
    ["listen net:127.0.0.1:0 --host app.example", "Conflict"],
    ["bridge net:127.0.0.1:0 ws://h --origin https://app.example", "Conflict"],
    ["bridge ws://127.0.0.1:0 wss://h --tls-key key.pem --tls-cert cert.pem", "Conflict"],
    ["connect net:h:1 --origin https://app.example", "Conflict"],
    ["probe net:h:1 --origin https://app.example", "Conflict"],
    ["listen net:127.0.0.1:0 --once", "Conflict"],
    ["listen net:127.0.0.1:0 --scope everywhere", "InvalidValue"],
    ["bridge", "MissingArgument"],
    ["bridge net:127.0.0.1:0", "MissingArgument"],
    ["probe", "MissingArgument"],
    ["listen net:127.0.0.1:0~shs --allow somebody", "BadValue"],
    [`listen net:127.0.0.1:0 --allow ${"A".repeat(43)}=`, "Conflict"]
  ]
  it.live.each(wrong)("multiserver %s", ([args, reason]) =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* inside([...args.split(" ").filter((arg) => arg !== ""), "--json"])
      assert.strictEqual(code, 2)
      assert.strictEqual(String(stdout), "")
      const events = eventsOf(stderr)
      assert.lengthOf(events, 1)
      assert.deepInclude(events[0], { event: "error", tag: "UsageError", reason })
      assert.isNotEmpty(events[0]?.message)
    })
  )
})

describe.concurrent("help", () => {
  it.live("says what an address is, and how to end at a terminal", () =>
    Effect.gen(function* () {
      assert.match(
        String((yield* inside(["--help"])).stdout),
        /An address is .+ such as\n +net:pub\.example:8008~shs:KEY/
      )
      assert.include(String((yield* inside(["connect", "--help"])).stdout), "ctrl-d ends this side")
    })
  )

  it.live("is on stdout when it is asked for", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* inside(["listen", "--help"])
      assert.strictEqual(code, 0)
      assert.include(String(stdout), "--key-file")
      assert.strictEqual(stderr, "")
    })
  )

  it.live.each(["keygen", "listen", "connect", "bridge", "probe", "tracker", "record", "address"])(
    "of %s has an example",
    (command) =>
      Effect.gen(function* () {
        const { stdout } = yield* inside([command, "--help"])
        assert.match(String(stdout), new RegExp(`EXAMPLES\\n[^]*multiserver ${command} `))
      })
  )

  it.live("names the exit codes", () =>
    Effect.gen(function* () {
      const { stdout } = yield* inside(["--help"])
      for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 130, 143]) {
        assert.match(String(stdout), new RegExp(`(^ +|, )${code} +\\w`, "m"))
      }
    })
  )

  it.live("is pointed to by a wrong invocation, in plain lines", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* inside(["lisen"])
      assert.strictEqual(code, 2)
      assert.strictEqual(String(stdout), "")
      assert.include(stderr, "error: unknown command; did you mean listen?")
      assert.include(stderr, "--help")
    })
  )

  it.live("has a version, the package's", () =>
    Effect.gen(function* () {
      const { stdout } = yield* inside(["--version"])
      assert.strictEqual(String(stdout), `${manifest.version}\n`)
    })
  )
})

describe.concurrent("a process", () => {
  it.live("exits 2 at wrong usage, says why on stderr and leaves stdout alone", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run(["connect", "--frobnicate", "--json"])
      assert.strictEqual(code, 2)
      assert.strictEqual(String(stdout), "")
      assert.deepStrictEqual(
        eventsOf(stderr).map(({ reason, tag }) => [tag, reason]),
        [["UsageError", "UnrecognizedOption"]]
      )
    })
  )

  it.live("has the help that was asked for on stdout, and exits 0", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run(["listen", "--help"])
      assert.strictEqual(code, 0)
      assert.include(String(stdout), "--key-file")
      assert.strictEqual(stderr, "")
    })
  )
})
