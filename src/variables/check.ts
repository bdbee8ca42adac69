/** Finds variables of the environment that begin with our prefix and are unknown or empty. */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { printable } from "../printable.ts"
import { invalid } from "./read.ts"
import { all, named, type Variable } from "./table.ts"

/** A variable of the environment that begins with our prefix. */
interface Found {
  readonly name: string
  /** Whether it is set to the empty string. Effect's provider treats such a variable as absent. */
  readonly isEmpty: boolean
}

const prefix = "MULTISERVER"

/**
 * Whether the name begins with our prefix, in any case. On Windows another case names the same variable, but this
 * package reads it in capitals only. So a name in another case is unknown.
 */
const isOurs = (name: string): boolean => name.toUpperCase().startsWith(`${prefix}_`)

/** The variables whose names begin with a path. Effect's provider for the environment cuts names at each `_`. */
const foundBelow = (
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Found>, ConfigProvider.SourceError> =>
  Effect.flatMap(provider.load(path), (node) => {
    const name = path.join("_")
    if (node === undefined) return Effect.succeed([{ name, isEmpty: true }])
    const own = node.value !== undefined && path.length > 1 ? [{ name, isEmpty: false }] : []
    if (node._tag === "Value") return Effect.succeed(own)
    if (node._tag === "Array") return Effect.succeed([...own, { name: `${name}_${node.length - 1}`, isEmpty: false }])
    return Effect.map(
      Effect.forEach(node.keys, (key) => foundBelow(provider, [...path, key])),
      (below) => [...own, ...below.flat()]
    )
  })

/** The variables with our prefix, of a provider that can list its keys. */
const found: Effect.Effect<ReadonlyArray<Found>, Config.ConfigError> = Effect.gen(function* () {
  const provider = yield* ConfigProvider.ConfigProvider
  const root = yield* provider.load([])
  const keys = root?._tag === "Record" ? [...root.keys] : []
  const below = keys.includes(prefix) ? yield* foundBelow(provider, [prefix]) : []
  const whole = yield* Effect.forEach(keys.filter(isOurs), (name) =>
    Effect.map(provider.load([name]), (node): Found => ({ name, isEmpty: node === undefined }))
  )
  // In other providers than the environment's, a path such as MULTISERVER.IDLE is not the variable MULTISERVER_IDLE.
  const unread = yield* Effect.filter(below, ({ isEmpty, name }) =>
    Effect.map(provider.load([name]), (node) => !isEmpty && node === undefined)
  )
  // Keys that are the prefix in another case. Nothing below them is read.
  const others = yield* Effect.filter(
    keys.filter((key) => key !== prefix && key.toUpperCase() === prefix),
    (name) => Effect.map(provider.load([name]), (node) => node?._tag !== "Value")
  )
  const inOtherCase = yield* Effect.forEach(others, (key) =>
    Effect.map(foundBelow(provider, [key]), (below) => {
      const names = below.map(({ name }) => name)
      return names.length > 0 ? names : [`${key}_*`]
    })
  )
  const elsewhere = [...unread.map(({ name }) => name.replace("_", ".")), ...inOtherCase.flat()]
  return [...elsewhere.map((name): Found => ({ name, isEmpty: false })), ...below, ...whole]
}).pipe(Effect.mapError((error) => new Config.ConfigError(error)))

/** For a name in another case: the end of the message, which says what was meant. */
const inCapitals = (name: string): string => {
  const upper = name.toUpperCase()
  if (name === upper) return ""
  return `; names are in capitals${named(upper) === undefined ? "" : `, as ${upper}`}`
}

/** Fails when an unknown variable is set, or when one that the caller `reads` is empty. */
export const check = (reads: (variable: Variable) => boolean): Effect.Effect<void, Config.ConfigError> =>
  Effect.flatMap(found, (names) => {
    const unknown = names.find(({ name }) => named(name) === undefined)
    if (unknown !== undefined) {
      const why = `there is no such variable${inCapitals(unknown.name)}`
      return Effect.fail(invalid(`${printable(unknown.name, 80)}: ${why}; docs/configuration.md lists all variables`))
    }
    const empty = names.find(({ isEmpty, name }) => isEmpty && all.some((each) => each.name === name && reads(each)))
    if (empty === undefined) return Effect.void
    return Effect.fail(invalid(`${empty.name}: it is empty; unset it, or give it a value`))
  })
