/** What both executables of shs1-test share: arguments in hex, messages over stdio, and an exit that says nothing. */
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Primitives } from "../../../dist/crypto/Primitives.js"
import * as Sodium from "../../../dist/crypto/Sodium.js"

export const primitives = Effect.runSync(Effect.provide(Primitives, Sodium.layer))

export const args = process.argv.slice(2).map((hex) => new Uint8Array(Buffer.from(hex, "hex")))

/** Exactly `length` bytes. */
export const read = (length) => {
  const message = new Uint8Array(length)
  for (let at = 0; at < length; ) {
    const got = fs.readSync(0, message, at, length - at)
    if (got === 0) process.exit(1)
    at += got
  }
  return message
}

export const write = (message) => fs.writeSync(1, message)

/** A step's success; on a failure nothing more is written. */
export const succeed = (step) => (Result.isSuccess(step) ? step.success : process.exit(1))

export const writeOutcome = ({ decrypt, encrypt }) =>
  write(Buffer.concat([encrypt.key, encrypt.nonce, decrypt.key, decrypt.nonce]))
