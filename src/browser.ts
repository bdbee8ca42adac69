/** The browser's door: everything of `index.ts`, and what is made of no more than a browser has. */
export * as BrowserIdentity from "./BrowserIdentity.ts"
export * as BrowserMultiserver from "./BrowserMultiserver.ts"
export * as Noble from "./crypto/Noble.ts"
export * as NobleKem from "./crypto/NobleKem.ts"
export * from "./index.ts"
export * as BrowserWebSocket from "./ws/BrowserWebSocket.ts"
