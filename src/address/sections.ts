/**
 * The built-in sections: the one place that lists them. Each is a class of its protocol's folder, which says itself how
 * it is read and printed (`definition.ts`). `Address` exports all of this list; a line less is a protocol less.
 */
export { Memory } from "../memory/section.ts"
export { Net } from "../net/section.ts"
export { Noauth } from "../noauth/section.ts"
export { Noise } from "../noise/section.ts"
export { Onion } from "../onion/section.ts"
export { Shs } from "../shs/section.ts"
export { Unix } from "../unix/section.ts"
export { Ws, Wss } from "../ws/section.ts"
