/** docs/cluster.md: its commands, as processes in an empty folder, with a PostgreSQL of the test. */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { programs, quick } from "../cluster/processes.ts"
import { readsTypes } from "../support/nodes.ts"
import { hasPostgres, postgres } from "../support/postgres.ts"
import { block, shown } from "./page.ts"
import { machine, ran } from "./shell.ts"

const page = "docs/cluster.md"
const all = ["client.ts", "counter.ts", "member.ts", "runner.ts"]

describe.runIf(hasPostgres)(page, () => {
  it.live("from one process to three, and to another protocol", () =>
    Effect.gen(function* () {
      const url = yield* postgres
      const bundled = yield* Effect.promise(() => programs("cluster-page"))
      const here = yield* machine
      yield* ran(here, block(page, "install"))
      for (const name of all) {
        fs.writeFileSync(path.join(here.folder, name), shown(`examples/cluster/${name}`) ?? "")
      }
      // The programs of the page in fewer files, which start sooner.
      const node = readsTypes
      const names = (yield* ran(here, block(page, "keys"))).split("\n")
      assert.strictEqual(names.length, 4)
      const [one = "", two = "", three = "", client = ""] = names
      const words = { KEY_ONE: one, KEY_TWO: two, KEY_THREE: three, KEY_CLIENT: client }
      const settings = block(page, "settings", { ...words, "postgres://cluster@db.example/cluster": url })
      fs.writeFileSync(path.join(here.folder, "settings.sh"), settings)
      yield* ran(here, block(page, "table"))
      const started = (name: string) => {
        const text = block(page, name, { "node runner.ts": `exec ${node} ${bundled}/runner.mjs` }).replaceAll(
          /10\.0\.0\.\d:\d+/g,
          "127.0.0.1:0"
        )
        return Effect.tap(here.start(text, quick), (shell) => shell.printed(/^runs at \S+$/m))
      }
      const call = ran(here, block(page, "client", { "node client.ts": `${node} ${bundled}/asked.mjs` }), quick)
      const first = yield* started("first")
      assert.match(yield* call, /^apples is 5, at net:127\.0\.0\.1:\d+~noise:\S+;net:127\.0\.0\.1:\d+~shs:\S+$/)
      yield* started("second")
      yield* started("third")
      assert.match(yield* call, /^apples is 10, at /)
      yield* first.kill("SIGTERM")
      yield* first.exit
      yield* started("change")
      assert.match(yield* call, /^apples is 15, at /)
    })
  )
})
