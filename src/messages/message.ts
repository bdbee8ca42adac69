/** The messages of a stream: how each is written, and how what has arrived is read. docs/port.md has the rules. */
import * as Result from "effect/Result"

/**
 * What a peer says. `Grant`: it may be sent so much more. `End`: it sends no more data. `EndHeard`: it has everything
 * up to this side's end. `Close`: it has closed in order. `Break`: it has broken off.
 */
export type Message =
  | { readonly _tag: "Data"; readonly bytes: Uint8Array }
  | { readonly _tag: "Grant"; readonly credit: number }
  | { readonly _tag: "End" | "EndHeard" | "Close" | "Break" }

export const end = "end"
export const endHeard = "end heard"
export const close = "close"
export const breakOff = "break"
export const grant = (credit: number): string => `grant ${credit}`

const words: ReadonlyMap<string, Message> = new Map([
  [end, { _tag: "End" }],
  [endHeard, { _tag: "EndHeard" }],
  [close, { _tag: "Close" }],
  [breakOff, { _tag: "Break" }]
])

/** A number without leading zeros, of at most 7 digits: no credit is larger. */
const grantOf = /^grant ([1-9][0-9]{0,6})$/
/** Longer texts are not looked at. */
const maxText = 16

const readText = (text: string): Message | undefined => {
  if (text.length > maxText) return undefined
  const credit = grantOf.exec(text)?.[1]
  return credit === undefined ? words.get(text) : { _tag: "Grant", credit: Number(credit) }
}

/** Whether the value is a buffer that is the reader's alone and keeps its size. */
const isFixed = (value: unknown): value is ArrayBuffer =>
  value instanceof ArrayBuffer && !("resizable" in value && value.resizable === true)

/** Reads a message. A failure says what is wrong with it. */
export const read = (value: unknown, maxBytes: number): Result.Result<Message, string> => {
  if (isFixed(value)) {
    const { byteLength } = value
    return byteLength > 0 && byteLength <= maxBytes
      ? Result.succeed({ _tag: "Data", bytes: new Uint8Array(value) })
      : Result.fail(`a buffer of ${byteLength} bytes, where 1 to ${maxBytes} are allowed`)
  }
  const message = typeof value === "string" ? readText(value) : undefined
  return message === undefined ? Result.fail("a message that is none of the protocol") : Result.succeed(message)
}
