/**
 * Fails when something that the package exports has no docstring: a module of a door, what it exports, and the members
 * of what it exports.
 *
 * `node scripts/checkDocs.ts` prints each with its place. The compiler of the project has no interface for programs, so
 * an older one reads the source.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript-5.9"

const root = new URL("../", import.meta.url).pathname
const { exports } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

/** The sources of the modules that have a name in `exports`. */
const modules = Object.keys(exports)
  .filter((name) => name !== "./package.json")
  .map((name) => {
    const target = exports[name].default ?? exports[name]
    return path.join(root, target.replace("./dist/", "src/").replace(/\.js$/, ".ts"))
  })

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

const missing: Array<string> = []

const report = (node: ts.Node, name: string): void => {
  const file = node.getSourceFile()
  const { line } = file.getLineAndCharacterOfPosition(node.getStart())
  missing.push(`${path.relative(root, file.fileName)}:${line + 1} ${name}`)
}

/** Whether one of its declarations has a docstring; a variable has that of its statement. */
const isDocumented = (symbol: ts.Symbol): boolean => symbol.getDocumentationComment(checker).length > 0

const isOurs = (symbol: ts.Symbol): boolean =>
  symbol.declarations?.some((each) => each.getSourceFile().fileName.startsWith(path.join(root, "src"))) ?? false

const seen = new Set<ts.Symbol>()

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
  // A type and a value of one name are one thing, whose docstring stands at either.
  if (!isDocumented(symbol)) report(declaration, symbol.name)
}

for (const file of modules) {
  const source = program.getSourceFile(file)
  const symbol = source && checker.getSymbolAtLocation(source)
  if (source === undefined || symbol === undefined) {
    missing.push(`${path.relative(root, file)}: no module`)
    continue
  }
  if (!/^\/\*\*/.test(source.text.trimStart())) missing.push(`${path.relative(root, file)}:1 the module`)
  for (const each of checker.getExportsOfModule(symbol)) visit(each)
}

for (const each of missing.sort()) process.stderr.write(`no docstring: ${each}\n`)
process.exitCode = missing.length === 0 ? 0 : 1
