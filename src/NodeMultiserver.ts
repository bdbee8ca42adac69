/** A Multiserver ready made for Node: all of its protocols, each encrypted and authenticated. */
import * as Layer from "effect/Layer"
import * as Sodium from "./crypto/Sodium.ts"
import type { Identity } from "./Identity.ts"
import * as Multiserver from "./Multiserver.ts"
import * as Memory from "./memory/Memory.ts"
import * as Net from "./net/Net.ts"
import * as Stack from "./Stack.ts"
import * as Shs from "./shs/Shs.ts"

/** The stacks that `layer` speaks. For others, or for plaintext, write the list: `Multiserver.layer([...])`. */
export const stacks = Stack.product(["net", "memory"], ["shs"])

/** Speaks `stacks` as the process's `Identity`. */
export const layer = <E = never, R = never>(
  options: Shs.Options<E, R> = {}
): Layer.Layer<Multiserver.Multiserver, never, Identity | R> =>
  Multiserver.layer(stacks).pipe(
    Layer.provide([Net.layer, Memory.layer, Shs.layer(options)]),
    Layer.provide(Sodium.layer)
  )
