/**
 * What the tests of the vectors use of Vitest, for an engine that has no Vitest. `run` runs the tests that were
 * declared, one after another.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"

type Body = () => unknown

const prefix: Array<string> = []
const declared: Array<readonly [name: string, body: Body]> = []

/** `%s` and `%i` become the arguments in turn, `$name` a field of the first. */
const titled = (title: string, row: ReadonlyArray<unknown>): string => {
  let at = 0
  return title
    .replaceAll(/%[a-z]/g, () => String(row[at++]))
    .replaceAll(/\$(\w+)/g, (_, field) => String(Reflect.get(Object(row[0]), field)))
}

const each =
  (declare: (name: string, body: Body) => void) =>
  (rows: ReadonlyArray<unknown>) =>
  (title: string, body: (...row: ReadonlyArray<unknown>) => unknown): void => {
    for (const row of rows) {
      const args = Array.isArray(row) ? row : [row]
      declare(titled(title, args), () => body(...args))
    }
  }

const group = (name: string, body: Body): void => {
  prefix.push(name)
  body()
  prefix.pop()
}

const declare = (name: string, body: Body): void => void declared.push([[...prefix, name].join(" > "), body])

const effectful = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope>): void =>
  declare(name, () => Effect.runPromise(Effect.scoped(Effect.provide(Effect.suspend(body), TestClock.layer()))))

export const describe = Object.assign(group, { each: each(group) })
export const it = Object.assign(declare, {
  each: each(declare),
  // A row of `it.effect.each` is one argument.
  effect: Object.assign(effectful, {
    each:
      (rows: ReadonlyArray<unknown>) =>
      (title: string, body: (row: unknown) => Effect.Effect<unknown, unknown, Scope.Scope>): void => {
        for (const row of rows) effectful(titled(title, Array.isArray(row) ? row : [row]), () => body(row))
      }
  })
})

const text = (value: unknown): string => String(JSON.stringify(value)).slice(0, 300)

const fail = (why: string): never => {
  throw new Error(why)
}

const same = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => key in b && same(Reflect.get(a, key), Reflect.get(b, key)))
  )
}

const holds = (condition: boolean, expected: string, actual: unknown, value?: unknown): void => {
  if (!condition) fail(`expected ${text(actual)} ${expected} ${text(value)}`)
}

export const assert = {
  fail,
  strictEqual: (a: unknown, b: unknown) => holds(Object.is(a, b), "to be", a, b),
  notStrictEqual: (a: unknown, b: unknown) => holds(!Object.is(a, b), "not to be", a, b),
  deepStrictEqual: (a: unknown, b: unknown) => holds(same(a, b), "to equal", a, b),
  deepInclude: (a: object, b: object) =>
    holds(
      Object.keys(b).every((key) => same(Reflect.get(a, key), Reflect.get(b, key))),
      "to include",
      a,
      b
    ),
  include: (a: string | ReadonlyArray<unknown>, b: string) => holds(a.includes(b), "to include", a, b),
  notInclude: (a: string | ReadonlyArray<unknown>, b: string) => holds(!a.includes(b), "not to include", a, b),
  match: (a: string, b: RegExp) => holds(b.test(a), "to match", a, String(b)),
  isTrue: (a: unknown) => holds(a === true, "to be", a, true),
  isFalse: (a: unknown) => holds(a === false, "to be", a, false),
  isUndefined: (a: unknown) => holds(a === undefined, "to be undefined", a),
  isAbove: (a: number, b: number) => holds(a > b, "to be above", a, b),
  isAtLeast: (a: number, b: number) => holds(a >= b, "to be at least", a, b),
  isAtMost: (a: number, b: number) => holds(a <= b, "to be at most", a, b)
}

/** Runs the tests that are wanted. Says the name of each that passed, and of each that failed with the reason. */
export const run = (
  isWanted: (name: string) => boolean,
  said: (line: { readonly name: string; readonly failure?: string }) => void
): Effect.Effect<void> =>
  Effect.forEach(
    declared.filter(([name]) => isWanted(name)),
    ([name, body]) =>
      Effect.match(
        Effect.tryPromise(() => Promise.resolve().then(body)),
        {
          onSuccess: () => said({ name }),
          onFailure: ({ cause }) => said({ name, failure: cause instanceof Error ? `${cause.stack}` : String(cause) })
        }
      ),
    { discard: true }
  )
