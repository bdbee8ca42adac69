/**
 * Loaded into each process that runs tests. With `HACKS=off` in the environment, every hack of the library is off in
 * it: each hack's module has a reference that turns it off, and here its default is another one.
 */
import * as Context from "effect/Context"
import { Garbage } from "../../src/sockets/garbage.ts"
import { HeapBlock } from "../../src/sockets/heapBlock.ts"
import { StaticReads } from "../../src/sockets/staticRead.ts"

/** Where Effect keeps the default of a reference once it has been asked for. */
const defaultValue = "~effect/Context/defaultValue"

if (process.env.HACKS === "off") {
  for (const hack of [Garbage, HeapBlock, StaticReads]) {
    Reflect.set(hack, defaultValue, false)
    if (Context.get(Context.empty(), hack))
      throw new Error("the hacks can't be turned off: Effect keeps defaults elsewhere")
  }
}
