/** The contract of a connection over the platform's own WebSocket, which our Node listener has accepted. */
import { describe, it } from "@effect/vitest"
import * as Compliance from "../../src/testing/Compliance.ts"
import { both, hasWebSocket } from "./browserSupport.ts"

const subjects = [
  { target: "ws://127.0.0.1:0~shs", authenticates: true, halfClose: true },
  { target: "ws://127.0.0.1:0~noise", authenticates: true, halfClose: true },
  { target: "ws://127.0.0.1:0/some/path~noauth", authenticates: false, halfClose: false },
  { target: "ws://localhost:0", authenticates: false, halfClose: false }
]

describe.skipIf(!hasWebSocket).each(subjects)("a connection of the platform's WebSocket over $target", (subject) => {
  for (const { name, run } of Compliance.suite({ ...subject, layer: both(), patience: "5 minutes" }))
    it.live(name, () => run)
})
