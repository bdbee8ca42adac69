/**
 * Fails on what the compiler and the linter let through: something that the package exports without a docstring, a
 * `@category` or a `@since`, a module of a door that package.json doesn't list, and a line of more than 120 columns: of
 * `src` any, elsewhere a comment, because a text of a test may have to be longer.
 *
 * `node scripts/checkSource.ts` prints each with its place. The compiler of the project has no interface for programs,
 * so an older one reads the source.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript-5.9"

const root = fileURLToPath(new URL("../", import.meta.url))
const { exports } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

/** The sources of the modules that have a name in `exports`. */
const modules = Object.keys(exports)
  .filter((name) => name !== "./package.json")
  .map((name) => {
    const target = exports[name].default ?? exports[name]
    return path.join(root, target.replace("./dist/", "src/").replace(/\.js$/, ".ts"))
  })

/** Each module of these doors has a name of its own in `exports`. */
const doors = ["index", "node", "browser", "hyperdht", "rpc"].map((door) => path.join(root, `src/${door}.ts`))

const program = ts.createProgram(modules, {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  allowImportingTsExtensions: true,
  noEmit: true,
  strict: true,
  skipLibCheck: true
})
const checker = program.getTypeChecker()

const faults: Array<string> = []

const report = (node: ts.Node, fault: string): void => {
  const file = node.getSourceFile()
  const { line } = file.getLineAndCharacterOfPosition(node.getStart())
  faults.push(`${path.relative(root, file.fileName)}:${line + 1} ${fault}`)
}

const isOurs = (symbol: ts.Symbol): boolean =>
  symbol.declarations?.some((each) => each.getSourceFile().fileName.startsWith(path.join(root, "src"))) ?? false

/** What the reference is sorted by. */
const categories = [
  ...["accessors", "combinators", "configuration", "constants", "constructors", "conversions", "errors", "events"],
  ...["guards", "layers", "models", "options", "predicates", "references", "rules", "schemas", "services", "sinks"],
  "type IDs"
]

/** The tags that each export has, and whether a text is one of theirs. */
const tagged: ReadonlyArray<readonly [string, (text: string) => boolean]> = [
  ["category", (text) => categories.includes(text)],
  ["since", (text) => /^\d+\.\d+\.\d+$/.test(text)]
]

/** Whether the file begins with a docstring of its own, which is not that of its first declaration. */
const isModuleDocumented = ({ text }: ts.SourceFile): boolean =>
  /^\/\*\*(?:(?!\*\/).)*\*\/\n(?:\n|import |export (?:type )?[*{])/s.test(text)

const seen = new Set<ts.Symbol>()

/** A type and a value of one name are one thing, whose docstring stands at either. */
const visit = (exported: ts.Symbol): void => {
  const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
  if (seen.has(symbol) || !isOurs(symbol)) return
  seen.add(symbol)
  const [declaration] = symbol.declarations ?? []
  if (declaration === undefined) return
  if (ts.isSourceFile(declaration)) {
    for (const each of checker.getExportsOfModule(symbol)) visit(each)
    return
  }
  if (symbol.getDocumentationComment(checker).length === 0) report(declaration, `${symbol.name} has no docstring`)
  const tags = symbol.getJsDocTags(checker)
  for (const [tag, isKnown] of tagged) {
    const texts = tags.filter(({ name }) => name === tag).map(({ text }) => ts.displayPartsToString(text))
    if (texts.length === 0 || !texts.every(isKnown)) report(declaration, `${symbol.name} has no good @${tag}`)
  }
}

for (const file of modules) {
  const source = program.getSourceFile(file)
  const symbol = source && checker.getSymbolAtLocation(source)
  if (source === undefined || symbol === undefined) {
    faults.push(`${path.relative(root, file)}: no module`)
    continue
  }
  if (!isModuleDocumented(source)) faults.push(`${path.relative(root, file)}:1 the module has no docstring`)
  for (const each of checker.getExportsOfModule(symbol)) {
    visit(each)
    if (!doors.includes(file)) continue
    const target = each.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(each).declarations?.[0] : undefined
    if (target && ts.isSourceFile(target) && !modules.includes(target.fileName)) {
      faults.push(`${path.relative(root, target.fileName)}: package.json does not list it in \`exports\``)
    }
  }
}

const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "*.ts", "*.mjs"], {
  cwd: root,
  encoding: "utf8"
})
  .trim()
  .split("\n")
for (const file of tracked.filter((each) => fs.existsSync(path.join(root, each)))) {
  const lines = fs.readFileSync(path.join(root, file), "utf8").split("\n")
  for (const [i, line] of lines.entries()) {
    const counts = file.startsWith("src/") || /^\s*(\/\/|\*|\/\*)/.test(line)
    if (counts && line.length > 120) faults.push(`${file}:${i + 1} is ${line.length} columns wide: at most 120`)
  }
}

for (const each of faults.sort()) process.stderr.write(`${each}\n`)
process.exitCode = faults.length === 0 ? 0 : 1
