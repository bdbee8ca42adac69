import type { Scenario } from "../scenario.ts"
import * as answered from "./answered.ts"
import * as client from "./client.ts"
import * as floods from "./floods.ts"
import * as handshake from "./handshake.ts"
import * as lifecycle from "./lifecycle.ts"
import * as newcomers from "./newcomers.ts"
import * as stream from "./stream.ts"
import * as web from "./web.ts"
import * as websockets from "./websockets.ts"

export const scenarios: ReadonlyArray<Scenario> = [
  handshake,
  stream,
  floods,
  newcomers,
  answered,
  lifecycle,
  client,
  websockets,
  web
].flatMap(({ scenarios }) => scenarios)
