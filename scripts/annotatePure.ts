/**
 * Marks what the built modules compute when they are loaded as pure, so that a bundler can leave out what a program
 * does not use. A bundler can't know that `Schema.TaggedError()("Reset", {})` has no effect but its value, so it would
 * keep each error, each configuration, and all that these are made of. Effect's own modules are marked too.
 *
 * Each value of a module that is the result of a call, and each class whose base is, gets a function around it, which
 * is called at once and marked. The marks alone are not enough: bundlers don't apply them to calls of calls.
 *
 * Also writes `export * as name from` as an import and an export: React Native's Babel preset refuses the former.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript-5.9"

const dist = fileURLToPath(new URL("../dist", import.meta.url))

/** Whether the expression calls something when it is evaluated, and not only later, in a function. */
const calls = (node: ts.Node): boolean => {
  if (ts.isCallExpression(node) || ts.isNewExpression(node)) return true
  if (ts.isFunctionLike(node) || ts.isClassLike(node)) return false
  return ts.forEachChild(node, (child) => calls(child) || undefined) ?? false
}

/** The expressions of a module that are evaluated when it is loaded, and whose only effect is their value. */
const pure = (statement: ts.Statement): ReadonlyArray<ts.Expression> => {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ initializer }) => initializer ?? [])
  }
  if (!ts.isClassDeclaration(statement)) return []
  return statement.heritageClauses?.flatMap(({ types }) => types.map(({ expression }) => expression)) ?? []
}

const annotated = (file: string, text: string): string => {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS)
  const places = source.statements.flatMap(pure).filter(calls)
  return places.reduceRight((out, expression) => {
    const [from, to] = [expression.getStart(source), expression.end]
    const value = text.slice(from, to)
    // Parentheses, because a class may extend it, and because it may begin with a brace.
    return `${out.slice(0, from)}(/* @__PURE__ */ (() => (${value}))())${out.slice(to)}`
  }, text)
}

const withoutNamespaceExports = (text: string): string =>
  text.replaceAll(/^export \* as (\w+) from ("[^"]+");$/gm, "import * as $1 from $2; export { $1 };")

for (const name of fs.readdirSync(dist, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".js") || name.startsWith(`cli${path.sep}`)) continue
  const file = path.join(dist, name)
  fs.writeFileSync(file, annotated(file, withoutNamespaceExports(fs.readFileSync(file, "utf8"))))
}
