/** A program that exports everything of the package once more. */
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript-5.9"

/** What is in these is in modules of their own too (`test/house.test.ts`). */
const doors = [".", "./node", "./browser", "./cluster", "./hyperdht", "./package.json"]

/** What a module exports, these files alone say: those of Effect and of the DOM would be read for nothing. */
const options: ts.CompilerOptions = { module: ts.ModuleKind.NodeNext, noLib: true, types: [] }
const host = ts.createCompilerHost(options)
const ofItsOwn: ts.CompilerHost = {
  ...host,
  resolveModuleNameLiterals: (names, from) =>
    names.map(({ text }) => {
      if (!text.startsWith(".")) return { resolvedModule: undefined }
      const resolvedFileName = path.resolve(path.dirname(from), text.replace(/\.[jt]s$/, ".d.ts"))
      return { resolvedModule: { resolvedFileName, extension: ts.Extension.Dts } }
    })
}

/**
 * Each value, and a copy of each interface, with the type that the compiler infers. A compiler that writes declarations
 * then has to write out every type that a program can get from the package. It can't if one of them belongs to a module
 * that package.json does not export.
 */
export const everyExport = (folder: string): string => {
  const { exports } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"))
  const modules = Object.keys(exports)
    .filter((name) => !doors.includes(name))
    .map((name) => ({
      name,
      file: path.join(folder, (exports[name].default ?? exports[name]).replace(/\.js$/, ".d.ts"))
    }))
  const files = modules.map(({ file }) => file)
  const program = ts.createProgram(files, options, ofItsOwn)
  const checker = program.getTypeChecker()

  const isTypeOnly = ({ declarations = [] }: ts.Symbol) =>
    declarations.some((each) => ts.isExportSpecifier(each) && (each.isTypeOnly || each.parent.parent.isTypeOnly))

  const linesOf = (owner: string, module: ts.Symbol): ReadonlyArray<string> =>
    checker.getExportsOfModule(module).flatMap((exported) => {
      const { declarations, flags } =
        exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const [source] = declarations ?? []
      const name = `${owner}.${exported.name}`
      if (source && ts.isSourceFile(source)) return linesOf(name, checker.getAliasedSymbol(exported))
      const flat = name.replaceAll(".", "_")
      const isInterface = (flags & ts.SymbolFlags.Interface) !== 0 && (flags & ts.SymbolFlags.Class) === 0
      const isValue = (flags & ts.SymbolFlags.Value) !== 0 && !isTypeOnly(exported)
      const { typeParameters = [] } = declarations?.find(ts.isInterfaceDeclaration) ?? {}
      const given = typeParameters.length === 0 ? "" : `<${typeParameters.map(() => "never").join(", ")}>`
      return [
        ...(isValue ? [`export const ${flat} = ${name}`] : []),
        ...(isInterface ? [`export const ${flat}_copied = (it: ${name}${given}) => ({ ...it })`] : [])
      ]
    })

  return modules
    .flatMap(({ file, name }, i) => {
      const source = program.getSourceFile(file)
      const symbol = source && checker.getSymbolAtLocation(source)
      const specifier = `effect-multiserver${name.slice(1)}`
      if (symbol === undefined) throw new Error(`${specifier} has no declarations`)
      return [`import * as M${i} from "${specifier}"`, ...linesOf(`M${i}`, symbol)]
    })
    .join("\n")
}
