/** Our build and the copy of Effect that it uses. BENCH_ROOT is the checkout it is taken from; by default this one. */
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { pathToFileURL } from "node:url"

const root = process.env.BENCH_ROOT ? pathToFileURL(`${process.env.BENCH_ROOT}/`) : new URL("../", import.meta.url)

/** A module of ours, as `shs/Shs`. */
export const own = (name) => import(new URL(`dist/${name}.js`, root))
export const has = (name) => existsSync(new URL(`dist/${name}.js`, root))

/** What the checkout depends on. */
export const require = createRequire(new URL("package.json", root))

/** A module of a dependency, as `effect/Layer`. */
export const load = (name) => import(pathToFileURL(require.resolve(name)))

/** A module of Effect, as `Layer`. */
export const effect = (name) => load(`effect/${name}`)
