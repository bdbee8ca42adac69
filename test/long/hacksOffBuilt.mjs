/** As hacksOff.ts, for the processes of the built command: `node --import` loads it into each. */
import * as Context from "effect/Context"
import { Garbage } from "../../dist/sockets/garbage.js"
import { HeapBlock } from "../../dist/sockets/heapBlock.js"
import { StaticReads } from "../../dist/sockets/staticRead.js"

for (const hack of [Garbage, HeapBlock, StaticReads]) {
  Reflect.set(hack, "~effect/Context/defaultValue", false)
  if (Context.get(Context.empty(), hack))
    throw new Error("the hacks can't be turned off: Effect keeps defaults elsewhere")
}
