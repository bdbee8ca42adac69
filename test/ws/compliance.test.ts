/** The contract of a connection over WebSockets. */
import { describe, it } from "@effect/vitest"
import * as Compliance from "../../src/testing/Compliance.ts"
import { multiserver } from "./support.ts"

const subjects = [
  { target: "ws://127.0.0.1:0~shs", authenticates: true, halfClose: true },
  { target: "ws://127.0.0.1:0~noise", authenticates: true, halfClose: true },
  { target: "ws://[::1]:0/some/path~noauth", authenticates: false, halfClose: false },
  { target: "ws://localhost:0", authenticates: false, halfClose: false }
]

describe.each(subjects)("a connection over $target", (subject) => {
  for (const { name, run } of Compliance.suite({ ...subject, layer: multiserver(), patience: "5 minutes" }))
    it.live(name, () => run)
})
