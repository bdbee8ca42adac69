/** The stacks that the command speaks: the one place that lists them. */
import * as Layer from "effect/Layer"
import type { Address } from "../Address.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import type { Identity } from "../Identity.ts"
import * as Multiserver from "../Multiserver.ts"
import * as Net from "../net/Net.ts"
import * as Shs from "../shs/Shs.ts"

export const stacks = ["net~shs", "net"] as const

/** The transforms that prove who the peer is. */
const authenticating: ReadonlySet<string> = new Set(["shs"])

/** Whether peers of this address are known by their key. */
export const authenticates = ({ transforms }: Address): boolean =>
  transforms.some((section) => authenticating.has(section._tag))

/** A Multiserver that speaks all of them. */
export const layer = (
  options: Shs.Options<never, Primitives>
): Layer.Layer<Multiserver.Multiserver, never, Identity | Primitives> =>
  Multiserver.layer(stacks).pipe(Layer.provide([Net.layer, Shs.layer(options)]))
