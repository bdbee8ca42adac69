/** As much of `@effect/vitest` as the tests of vectors use, for a page or a worker. */
import { assert } from "chai"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as TestConsole from "effect/testing/TestConsole"

export { assert }

interface Test {
  readonly name: string
  readonly run: () => unknown
}

export interface Report {
  /** The names of all that have run, and passed if they are not among `failed`. */
  readonly ran: ReadonlyArray<string>
  readonly failed: ReadonlyArray<string>
}

const tests: Array<Test> = []
let names: ReadonlyArray<string> = []

const titled = (title: string, args: ReadonlyArray<unknown>): string => {
  const rest = [...args]
  const [first] = args
  return title
    .replace(/%s/g, () => String(rest.shift()))
    .replace(/\$(\w+)/g, (all, key) =>
      typeof first === "object" && first !== null ? String(Reflect.get(first, key)) : all
    )
}

const group = (name: string, body: () => void): void => {
  const outer = names
  names = [...outer, name]
  body()
  names = outer
}

const argsOf = (each: unknown): ReadonlyArray<unknown> => (Array.isArray(each) ? each : [each])

export const describe = Object.assign(group, {
  each:
    <A>(all: ReadonlyArray<A>) =>
    (title: string, body: (each: A) => void) => {
      for (const each of all) group(titled(title, argsOf(each)), () => body(each))
    }
})

const add = (name: string, run: () => unknown): void => {
  tests.push({ name: [...names, name].join(" > "), run })
}

type Body = () => Effect.Effect<unknown, unknown, Scope.Scope>

const virtual = Layer.mergeAll(TestConsole.layer, TestClock.layer())
const effect = (name: string, body: Body): void =>
  add(name, () => Effect.suspend(body).pipe(Effect.scoped, Effect.provide(virtual), Effect.runPromise))

export const it = Object.assign(add, {
  each: (all: ReadonlyArray<unknown>) => (title: string, body: (...args: ReadonlyArray<unknown>) => unknown) => {
    for (const each of all) add(titled(title, argsOf(each)), () => body(...argsOf(each)))
  },
  effect: Object.assign(effect, {
    each:
      <A>(all: ReadonlyArray<A>) =>
      (title: string, body: (each: A) => ReturnType<Body>) => {
        for (const each of all) effect(titled(title, [each]), () => body(each))
      }
  })
})

/** Runs all but those whose names have one of these words in them, and says how it went. */
const run = async (without: ReadonlyArray<string>): Promise<Report> => {
  const ran: Array<string> = []
  const failed: Array<string> = []
  for (const { name, run } of tests.filter(({ name }) => !without.some((words) => name.includes(words)))) {
    ran.push(name)
    try {
      await run()
    } catch (error) {
      failed.push(`${name}: ${error}`)
    }
  }
  return { ran, failed }
}

Object.assign(globalThis, { vectors: run })
