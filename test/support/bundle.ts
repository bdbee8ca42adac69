/** Programs in one file each, for tests that start one many times: most of their start would be loading modules. */
import { fileURLToPath } from "node:url"
import { build } from "vite"

const source = fileURLToPath(new URL("../../src/", import.meta.url))

/** Bundles the programs, each under its name, into a folder of this name that is no part of the package. */
export const bundle = async (name: string, programs: Readonly<Record<string, URL>>): Promise<string> => {
  const folder = fileURLToPath(new URL(`../../node_modules/.cache/${name}`, import.meta.url))
  await build({
    configFile: false,
    logLevel: "warn",
    // Examples import the package by its name.
    resolve: { alias: [{ find: /^effect-multiserver\/(.+)$/, replacement: `${source}$1.ts` }] },
    ssr: { noExternal: true, external: ["sodium-native"] },
    build: {
      ssr: true,
      outDir: folder,
      emptyOutDir: true,
      rolldownOptions: {
        input: Object.fromEntries(Object.entries(programs).map(([name, url]) => [name, fileURLToPath(url)])),
        output: {
          entryFileNames: "[name].mjs",
          chunkFileNames: "[name].mjs",
          minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } }
        }
      }
    }
  })
  return folder
}
