/** Removes what `npm run build` makes. */
import * as fs from "node:fs"

for (const folder of ["dist", "man", "completions"]) {
  fs.rmSync(new URL(`../${folder}`, import.meta.url), { recursive: true, force: true })
}
