/** `node scripts/configuration.ts` writes the table of docs/configuration.md anew, from `src/variables.ts`. */
import * as fs from "node:fs"
import { forms, type Variable, variables } from "../src/variables.ts"

const file = new URL("../docs/configuration.md", import.meta.url)

const begin = "<!-- variables: written by scripts/configuration.ts -->"
const end = "<!-- /variables -->"

const row = ({ byDefault, commands, form, name, readBy, what }: Variable): string => {
  const readers = [...commands.map((command) => `\`${command}\``), ...(readBy === undefined ? [] : [`\`${readBy}\``])]
  return `| \`${name}\` | ${what} | ${forms[form]} | ${byDefault} | ${readers.join(", ")} |`
}

/** The document with the table as the code has it. */
export const written = (document: string): string => {
  const [before = "", rest = ""] = document.split(begin)
  const after = rest.split(end)[1] ?? ""
  const head = ["| variable | says | takes | default | read by |", "| --- | --- | --- | --- | --- |"]
  return [before + begin, ...head, ...Object.values(variables).map(row), end + after].join("\n")
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  fs.writeFileSync(file, written(fs.readFileSync(file, "utf8")))
}
