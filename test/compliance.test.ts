/** The public contract, over every stack of ours. */
import { describe, it } from "@effect/vitest"
import * as Layer from "effect/Layer"
import * as Deflate from "../src/deflate/Deflate.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Noauth from "../src/noauth/Noauth.ts"
import * as Compliance from "../src/testing/Compliance.ts"
import { ports } from "./support/ports.ts"
import { protocols } from "./support/servers.ts"

const layer = Multiserver.layer([
  "net~shs",
  "net~shs~deflate",
  "net~deflate~shs",
  "net~noise",
  "net~noise~deflate",
  "net~noisepq",
  "net~noise~shs",
  "net~deflate",
  "net~noauth",
  "net",
  "memory~shs",
  "memory~noise",
  "memory~noisepq",
  "memory~noauth",
  "memory",
  "port~shs",
  "port~noise",
  "port~noauth",
  "port"
]).pipe(Layer.provide([protocols(), ports("c"), Noauth.layer(), Deflate.layer()]))

const targets = [
  "net:127.0.0.1:0~shs",
  "net:127.0.0.1:0~shs~deflate",
  "net:127.0.0.1:0~deflate~shs",
  "net:127.0.0.1:0~noise",
  "net:127.0.0.1:0~noise~deflate",
  "net:127.0.0.1:0~noisepq",
  "net:127.0.0.1:0~noise~shs",
  "net:127.0.0.1:0~deflate",
  "net:127.0.0.1:0~noauth",
  "net:127.0.0.1:0",
  "memory:c~shs",
  "memory:c~noise",
  "memory:c~noisepq",
  "memory:c~noauth",
  "memory:c",
  "port:c~shs",
  "port:c~noise",
  "port:c~noauth",
  "port:c"
]

/** Nothing is decided by how busy this machine is. */
const patience = "5 minutes" as const

describe.each(targets)("%s", (target) => {
  const subject = { target, layer, authenticates: /~(shs|noise)/.test(target), halfClose: true, patience }
  for (const { name, run } of Compliance.suite(subject)) it.live(name, () => run)
})
