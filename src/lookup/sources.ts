/** Sources that need no network: records that are given, a file of them, and the memory of this process. */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import type * as FileSystem from "effect/FileSystem"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { type AddressRecord, type Records, records } from "../AddressRecord.ts"
import { AddressRecords, type Options } from "../AddressRecords.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import { fileSystem } from "../fileSystem.ts"
import { nowSeconds } from "./search.ts"
import { type Offer, type Source, SourceError } from "./source.ts"

const offer = ({ bytes }: AddressRecord): Offer => ({ _tag: "Signed", bytes })

/** A source that answers from memory. */
const answering = (name: string, kept: AddressRecords): Source => ({
  name,
  find: (key) => Stream.suspend(() => Stream.fromIterable([kept.get(key)].flatMap((record) => record ?? []).map(offer)))
})

/** Keeps those that are records of this network. */
const gather = ({ decode }: Records, all: ReadonlyArray<Uint8Array>, now: number): AddressRecords => {
  const kept = new AddressRecords({ keys: Math.max(1, all.length) })
  for (const bytes of all) {
    const record = decode(bytes)
    if (Result.isSuccess(record)) kept.add(record.success, now)
  }
  return kept
}

/**
 * The records that a program is given, with its configuration for example.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRecords = (all: ReadonlyArray<AddressRecord>): Effect.Effect<Source> =>
  Effect.map(nowSeconds, (now) => {
    const kept = new AddressRecords({ keys: Math.max(1, all.length) })
    for (const record of all) kept.add(record, now)
    return answering("records of the program", kept)
  })

/** The largest file that is read, in bytes. */
const largestFile = 2 ** 20

/**
 * A file of records: on each line one, in base64. Empty lines and those that begin with `#` are left out. The file is
 * read at each question, so it may change at any time; it may have 1 MiB. `NodeServices.layer` of
 * `@effect/platform-node` gives the `FileSystem`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFile = (path: string): Effect.Effect<Source, never, FileSystem.FileSystem | Primitives> =>
  Effect.gen(function* () {
    const fs = yield* fileSystem
    const wire = yield* records
    const name = `file ${path}`
    const failed = (detail: string, isRetryable: boolean) => new SourceError({ source: name, detail, isRetryable })
    const lines = Effect.gen(function* () {
      const { size } = yield* fs.stat(path)
      if (size > largestFile) return yield* failed(`it has more than ${largestFile} bytes`, false)
      const text = yield* fs.readFileString(path)
      return text
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "" && !line.startsWith("#"))
    }).pipe(
      Effect.catchTag("PlatformError", (error) => Effect.fail(failed(`it can't be read: ${error.message}`, true)))
    )
    const read = Effect.flatMap(lines, (all) =>
      Effect.gen(function* () {
        const bytes = all.map((line) => Result.getOrUndefined(Base64.decode(line)))
        const bad = bytes.findIndex((each) => each === undefined || Result.isFailure(wire.decode(each)))
        if (bad >= 0) yield* Effect.logWarning(`${name}: record number ${bad + 1} is no record of this network`)
        return gather(
          wire,
          bytes.flatMap((each) => each ?? []),
          yield* nowSeconds
        )
      })
    )
    return {
      name,
      find: (key) => Stream.unwrap(Effect.map(read, (kept) => answering(name, kept).find(key)))
    }
  })

/**
 * Records in the memory of this process, for as many `Lookup`s as it is given to: each can find what the others have
 * published. For tests, and for programs with several identities.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeBoard = (options?: Options): Effect.Effect<Source> =>
  Effect.sync(() => {
    const kept = new AddressRecords(options)
    return {
      ...answering("board", kept),
      publish: (record) => Effect.map(nowSeconds, (now) => void kept.add(record, now))
    }
  })
