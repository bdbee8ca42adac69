/** The browser's door: everything of `index.ts`, and what needs a browser, or no more than a browser has. */
export * as Noble from "./crypto/Noble.ts"
export * from "./index.ts"
