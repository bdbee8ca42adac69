/** Inherited sockets: which address names which, and a program that has some. The command's are in test/cli. */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { asksFor } from "../../src/sockets/ip.ts"

describe("an address asks for an inherited socket", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1", "exactly"],
    ["::ffff:127.0.0.1", "127.0.0.1", "exactly"],
    ["FE80::1%eth0", "fe80::1%eth0", "exactly"],
    ["2001:db8:0:0::1", "2001:db8::1", "exactly"],
    ["0.0.0.0", "0.0.0.0", "exactly"],
    ["::", "::", "exactly"],
    ["0::0", "::", "exactly"],
    ["localhost", "127.0.0.1", "exactly"],
    ["localhost", "::1", "exactly"],
    ["0.0.0.0", "::", "widely"],
    ["::", "0.0.0.0", undefined],
    ["127.0.0.1", "::", undefined],
    ["localhost", "::", undefined],
    ["localhost", "127.0.0.2", undefined],
    ["0.0.0.0", "127.0.0.1", undefined],
    ["fe80::1%eth1", "fe80::1%eth0", undefined],
    ["pub.example", "203.0.113.7", undefined]
  ] as const)("%s of one bound to %s: %s", (host, boundTo, how) => {
    assert.strictEqual(asksFor(host, boundTo), how)
  })
})

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

describe("InheritedSockets", () => {
  it.live("gives a program the sockets that it inherits, once, and keeps them from its children", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "inherited-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const [own = "", shared = "", other = ""] = ["own", "shared", "other"].map((name) => join(folder, name))
      const bind = [
        { host: "::" },
        { path: own, mode: 0o600 },
        { path: shared, mode: 0o666 },
        { kind: "file" },
        { path: other, mode: 0o600, kind: "connection" }
      ]
      const args = [process.execPath, file("inherited.mjs"), "{0}", own, shared]
      const said = yield* Effect.callback<string>((resume) => {
        const parent = [file("../support/activate.mjs"), JSON.stringify({ bind }), ...args]
        execFile(process.execPath, parent, (error, stdout, stderr) =>
          resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(stderr)))
        )
      })
      const notPrivate =
        "not an address to listen on: the inherited socket lets in other users: give it mode 0600 and this user as its " +
        "owner (SocketMode=, SocketUser=), in a folder where nobody else can replace it; or take shs to know the peer"
      const connection =
        "it is a connection and not a socket that listens; this has to accept the connections itself (Accept=no)"
      const cannot = (descriptor: number, why: string) => [
        "NotListening",
        `can't listen with the inherited descriptor ${descriptor}: ${why}`
      ]
      assert.deepStrictEqual(JSON.parse(said), {
        pid: ["BadVariable", "LISTEN_PID: it takes the number of the process that is to listen"],
        otherPid: "built",
        empty: ["BadVariable", "LISTEN_FDS: it takes the number of inherited sockets"],
        tooMany: ["BadVariable", "LISTEN_FDS: it says that 4 sockets are inherited, but descriptor 6 is none"],
        none: "built",
        stdio: cannot(0, "descriptors 0 to 2 are those of stdin, stdout and stderr"),
        file: cannot(6, "it is no socket"),
        connection: cannot(7, `it can't listen (EINVAL): ${connection}`),
        address: ["BadPort", "not an address: at character 5, expected a port, as in HOST:PORT"],
        peers: [notPrivate, "Anonymous", "Trusted"],
        twice: "AddressInUse",
        child: { variables: [], sockets: [] },
        again: "built",
        fileStays: true
      })
    })
  )
})
