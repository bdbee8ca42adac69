/** For each test file: what its tests say is recorded, under the name of the test that says it. */
import { beforeEach } from "vitest"
import { recorder } from "./recorder.ts"
import { begin, kinds } from "./told.ts"

begin()

/** A name that is an address may hold a fixture's seed: who looks for the test finds it without. */
const named = (name: string): string => name.replace(/[A-Za-z0-9+/_-]{40,}=*/g, "…")

beforeEach(({ task }) => {
  for (const kind of kinds) recorder.say(kind, `\n## ${task.file.name} > ${named(task.name)}\n`)
})
