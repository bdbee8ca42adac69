/** Writes what is made of the command's own description: `man/`, and `completions/` for shells. */
import * as fs from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { multiserver } from "../src/cli/commands.ts"
import { script } from "../src/cli/completions.ts"
import * as Reporter from "../src/cli/reporter.ts"
import { pages } from "./manual.ts"

const write = (folder: string, files: Iterable<readonly [name: string, text: string]>): void => {
  const place = new URL(`../${folder}/`, import.meta.url)
  fs.mkdirSync(place, { recursive: true })
  for (const [name, text] of files) fs.writeFileSync(new URL(name, place), text)
}

const line = (text: string): string => `${text}\n`

write("man", await Effect.runPromise(Effect.provide(pages, Layer.provideMerge(Reporter.layer, NodeServices.layer))))

/** By the names under which each shell looks for them. */
write("completions", [
  ["multiserver.bash", line(script(multiserver, "bash"))],
  ["_multiserver", line(script(multiserver, "zsh"))],
  ["multiserver.fish", line(script(multiserver, "fish"))]
])
