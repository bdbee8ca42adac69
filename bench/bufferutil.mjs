/**
 * Whether a process has the package `bufferutil`, which masks the frames of WebSockets. `WS_NO_BUFFER_UTIL` is the
 * switch of ws 8, and ours. ws 7, which npm multiserver uses, has none: it takes the package where it finds it.
 */
import { createRequire, registerHooks } from "node:module"

const { cache } = createRequire(import.meta.url)

/** From here on nothing finds it. */
export const leaveOutBufferutil = () => {
  registerHooks({
    resolve: (name, context, next) => {
      if (name !== "bufferutil") return next(name, context)
      throw Object.assign(new Error("left out of this row"), { code: "MODULE_NOT_FOUND" })
    }
  })
}

/** Fails unless the process is as its row says, so that rows which are compared are alike. */
export const checkBufferutil = (expected) => {
  const isLoaded = Object.keys(cache).some((file) => /[/\\]bufferutil[/\\].*\.node$/.test(file))
  if (isLoaded !== expected) throw new Error(`bufferutil is ${isLoaded ? "" : "not "}loaded`)
}
