import type { Scenario } from "../scenario.ts"
import * as client from "./client.ts"
import * as floods from "./floods.ts"
import * as handshake from "./handshake.ts"
import * as lifecycle from "./lifecycle.ts"
import * as newcomers from "./newcomers.ts"
import * as stream from "./stream.ts"
import * as web from "./web.ts"

export const scenarios: ReadonlyArray<Scenario> = [
  handshake,
  stream,
  floods,
  newcomers,
  lifecycle,
  client,
  web
].flatMap(({ scenarios }) => scenarios)
