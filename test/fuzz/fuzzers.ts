/** All fuzzers. */
import { address } from "./address.ts"
import { boxes } from "./boxes.ts"
import type { Fuzzer } from "./fuzzer.ts"
import { handshake } from "./handshake.ts"
import { websocket } from "./websocket.ts"

export const fuzzers: ReadonlyArray<Fuzzer> = [address, handshake, boxes, websocket]
