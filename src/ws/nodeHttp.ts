/**
 * Node's `http` without undici. An `import` of `node:http` reads each of its exports once, and Node 24 answers the one
 * of `WebSocket` by loading all of undici: a quarter of what a small program needs to start.
 */
import type * as http from "node:http"

export const nodeHttp: typeof http = process.getBuiltinModule("node:http")
