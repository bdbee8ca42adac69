/** README's first screen: a page, a bridge and a desktop. */
import * as fs from "node:fs"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { status } from "../ws/plain.ts"
import { block, shown } from "./page.ts"
import { machine, ran } from "./shell.ts"

const page = "README.md"

describe(page, () => {
  it.live("a page talks through a bridge with a desktop that has TCP only", () =>
    Effect.gen(function* () {
      assert.strictEqual(block(page, "examples/page.ts"), shown("examples/page.ts"))
      const lines = `${block(page, "bridge")}\n${block(page, "examples/page.ts")}`.split("\n")
      assert.isAtMost(lines.filter((line) => line !== "" && !line.startsWith("import ")).length, 10)
      const here = yield* machine
      yield* ran(here, "npm install effect-multiserver effect")
      const terminal = (line: string) => here.start(line.replace(/^npx /, "exec npx "))
      /** A port and the key, where the command has one, as it says when it listens. */
      const said = (text: string) => /^listening on \w+:(?:\/\/)?127\.0\.0\.1:(\d+)(?:~shs:(\S+))?/m.exec(text) ?? []

      const [listen = "", bridge = ""] = block(page, "bridge").split("\n")
      const desktop = yield* terminal(listen.replace(":8008", ":0"))
      const [, tcp = "", key = ""] = said(yield* desktop.saying(/^listening on .*\n/m))
      const between = yield* terminal(bridge.replace(":8989", ":0").replace(":8008", `:${tcp}`))
      const [, ws = ""] = said(yield* between.saying(/^listening on .*\n/m))

      const own = block(page, "examples/page.ts", { KEY: key, "8989": ws })
      fs.writeFileSync(path.join(here.folder, "page.ts"), own)
      assert.strictEqual(yield* ran(here, "node page.ts"), "hello from a page")
      // The desktop has seen the page's key, and the bridge has not.
      yield* desktop.saying(/connected with net:127\.0\.0\.1:\d+~shs:/)
      assert.notMatch(yield* between.saying(/closed ws:/), /^(?:connected|closed) .*~shs/m)
      yield* desktop.kill("SIGTERM")
      yield* desktop.exit
      const gone = yield* Effect.flatMap(here.start("node page.ts"), ({ exit }) => exit)
      assert.strictEqual(gone.code, 1)
      assert.match(gone.stderr, /the peer hung up (before it said anything|after our hello)/)
      const from = (Origin: string) => status(Number(ws), { headers: { Origin } })
      assert.strictEqual(yield* from("http://127.0.0.1:8080"), 101)
      assert.strictEqual(yield* from("http://other.example"), 403)
    })
  )
})
