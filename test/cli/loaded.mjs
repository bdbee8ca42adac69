/** Says at the end which modules a process has loaded, as the last line of stderr. */
import { registerHooks } from "node:module"

const urls = new Set()
registerHooks({
  load: (url, context, next) => {
    urls.add(url)
    return next(url, context)
  }
})
process.on("exit", () => process.stderr.write(`${JSON.stringify([...urls])}\n`))
