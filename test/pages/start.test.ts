/** docs/start.md: its blocks, as processes in an empty folder. */
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Identity from "../../src/Identity.ts"
import { primitives } from "../support/primitives.ts"
import { pattern } from "../support/servers.ts"
import { block, shown } from "./page.ts"
import { machine, ran } from "./shell.ts"

const page = "docs/start.md"

/** A port that resets its first connection, and passes the others on to another port. */
const unsteady = (to: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: net.Server; readonly port: number }>((resume) => {
      let isFirst = true
      const server = net.createServer((socket) => {
        socket.on("error", () => {})
        if (isFirst) socket.resetAndDestroy()
        else socket.pipe(net.connect(to, "127.0.0.1").on("error", () => {})).pipe(socket)
        isFirst = false
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed({ server, port: address !== null && typeof address === "object" ? address.port : 0 }))
      })
    }),
    ({ server }) => Effect.sync(() => void server.close())
  )

describe(page, () => {
  it.live("serves a client whose key is on the list, after a failure too, and refuses another", () =>
    Effect.gen(function* () {
      const here = yield* machine
      yield* ran(here, block(page, "install"))
      for (const name of ["server.ts", "client.ts"]) {
        fs.writeFileSync(path.join(here.folder, name), shown(`examples/start/${name}`) ?? "")
      }
      const server = yield* here.start(block(page, "server", { "node server.ts": "exec node server.ts" }))
      const printed = yield* server.printed(/^net:\S+\n/)
      const addresses = printed.trim()
      const client = (of: string) => block(page, "client", { ADDRESSES: of })

      // The first connection of each address fails.
      let fronts = addresses
      for (const [, port] of addresses.matchAll(/127\.0\.0\.1:(\d+)~/g)) {
        const front = yield* unsteady(Number(port))
        fronts = fronts.replace(`:${port}~`, `:${front.port}~`)
      }
      assert.match(yield* ran(here, client(fronts)), /^(net|ws)~shs says hello$/)

      const stranger = Identity.formatSecretFile(Identity.fromSeed(primitives, Redacted.make(pattern(32, 7))))
      fs.writeFileSync(path.join(here.folder, "client.key"), stranger)
      const refused = yield* Effect.flatMap(here.start(client(addresses)), ({ exit }) => exit)
      assert.strictEqual(refused.code, 1)
      assert.include(`${refused.stdout}${refused.stderr}`, "it refuses our key")
      yield* server.printed(/ is not allowed\n/)

      yield* server.kill("SIGINT")
      assert.strictEqual((yield* server.exit).code, 130)
    })
  )
})
