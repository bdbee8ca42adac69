/** Gives each module's page the comment at the top of its file, and the line that imports it. */
import { readFileSync } from "node:fs"
import { Comment, Converter, ReflectionKind } from "typedoc"

const root = new URL("../../", import.meta.url)
const read = (path) => readFileSync(new URL(path, root), "utf8")

/** The doors, and the modules that each of them exports: the widest door last. */
const doors = [
  ["effect-multiserver/testing", read("src/testing/index.ts")],
  ["effect-multiserver/cluster", read("src/cluster.ts")],
  ["effect-multiserver/hyperdht", read("src/hyperdht.ts")],
  ["effect-multiserver/node", read("src/node.ts")],
  ["effect-multiserver/browser", read("src/browser.ts")],
  ["effect-multiserver", read("src/index.ts")]
]

const importOf = (name) => {
  const short = name.split("/").at(-1)
  for (const [door, text] of doors.toReversed()) {
    const found = new RegExp(`export (?:type )?\\* as (\\w+) from "\\./[^"]*\\b${short}\\.ts"`).exec(text)
    if (found !== null) return `import { ${found[1]} } from "${door}"`
  }
  throw new Error(`${name} is in no door`)
}

/** The docblock at the top of the file, without its stars. */
const headOf = (file) => {
  const [, block] = /^\/\*\*(.*?)\*\//s.exec(readFileSync(file, "utf8")) ?? []
  if (block === undefined) throw new Error(`${file} has no comment at its top`)
  return block
    .replace(/^ ?\* ?/gm, "")
    .replaceAll(/\n ?\* ?/g, "\n")
    .trim()
}

export const load = (app) => {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
    for (const module of context.project.getReflectionsByKind(ReflectionKind.Module)) {
      const [file] = context.project.getSymbolFromReflection?.(module)?.declarations ?? []
      const path =
        file?.getSourceFile().fileName ?? new URL(`src/${module.name.replace(/^testing\//, "testing/")}.ts`, root)
      const text = `${headOf(path)}\n\n\`\`\`ts\n${importOf(module.name)}\n\`\`\``
      module.comment = new Comment([{ kind: "text", text }])
    }
  })
}
