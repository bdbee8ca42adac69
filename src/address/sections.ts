/**
 * The list of the built-in sections. Each is a class in its protocol's folder, with the definition of how it is parsed
 * and printed (`definition.ts`). `Address` exports all of them. To drop a protocol, remove its line.
 */
export { Memory } from "../memory/section.ts"
export { Net } from "../net/section.ts"
export { Noauth } from "../noauth/section.ts"
export { Noise } from "../noise/section.ts"
export { NoisePq } from "../noisepq/section.ts"
export { Onion } from "../onion/section.ts"
export { MessagePort } from "../port/section.ts"
export { Shs } from "../shs/section.ts"
export { Unix } from "../unix/section.ts"
export { Ws, Wss } from "../ws/section.ts"
