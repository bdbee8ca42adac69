/** What all tests in browsers share: Chromium, the bundles, and a server that shows them. */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as esbuild from "esbuild"
import type { TestProject } from "vitest/node"
import { chromium, launch } from "./browsers.ts"
import { vectorsBundle } from "./vectorsBundle.ts"

declare module "vitest" {
  interface ProvidedContext {
    /** Where Chromium is driven; "" where there is none. */
    chromium: string
    /** Where the pages are. */
    origin: string
  }
}

const root = fileURLToPath(new URL("../../..", import.meta.url))

/** The clients, over the package as it is built. */
const clients = () =>
  esbuild.build({
    entryPoints: ["connections", "worker", "identity"].map((name) =>
      path.join(root, `test/browser/clients/${name}.ts`)
    ),
    absWorkingDir: root,
    outdir: "/",
    bundle: true,
    minify: true,
    format: "iife",
    tsconfigRaw: "{}",
    write: false
  })

export default async (project: TestProject): Promise<() => Promise<void>> => {
  const scripts = new Map<string, string>()
  for (const { outputFiles } of await Promise.all([clients(), vectorsBundle()])) {
    for (const { path: file, text } of outputFiles) scripts.set(`/${path.basename(file)}`, text)
  }
  // `/connections` is a page that has only the script `/connections.js`.
  const server = http.createServer((request, response) => {
    const script = scripts.get(request.url ?? "")
    const page = `<!doctype html><link rel="icon" href="data:,"><script src="${request.url}.js"></script>`
    response.setHeader("content-type", script === undefined ? "text/html" : "text/javascript")
    response.setHeader("content-security-policy", "default-src 'self'; connect-src ws:")
    response.end(script ?? page)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const browser = chromium === undefined ? undefined : await launch("Chromium")
  project.provide("chromium", browser?.wsEndpoint() ?? "")
  project.provide("origin", `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return async () => {
    await browser?.close()
    server.close()
    server.closeAllConnections()
  }
}
