/**
 * Bundles an app by Metro, as React Native does it: `metro.mjs TOOLS APP ROOT ENTRY`. Prints the error if it can't.
 * The settings are those of docs/react-native.md.
 */
import { createRequire } from "node:module"
import * as path from "node:path"

const [tools, app, root, entry] = process.argv.slice(2)
const from = createRequire(path.join(tools, "package.json"))
const Metro = from("metro")
const { FileStore } = from("metro-cache")
const { getDefaultConfig, mergeConfig } = from("@react-native/metro-config")

const modules = path.join(tools, "node_modules")
const config = mergeConfig(getDefaultConfig(app), {
  // The app's packages are elsewhere: this is of the test alone, as are the cache and the next two.
  watchFolders: [app, modules, ...["effect", "@noble"].map((name) => path.join(root, "node_modules", name))],
  resolver: { useWatchman: false, nodeModulesPaths: [modules, path.join(root, "node_modules")] },
  cacheStores: [new FileStore({ root: path.join(root, "node_modules/.cache/react-native/metro") })],
  fileMapCacheDirectory: app,
  maxWorkers: 1,
  // React Native's own set-up of its globals needs the package react-native.
  serializer: { getModulesRunBeforeMainModule: () => [] }
})

Metro.runBuild(config, {
  entry,
  out: path.join(app, `${path.basename(entry, ".js")}.bundle.js`),
  dev: false,
  minify: false,
  platform: "android"
}).catch(({ message }) => {
  console.error(message)
  process.exitCode = 1
})
