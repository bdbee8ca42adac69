/** Sources that need no network: records that are given, a file of them, and the memory of this process. */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { type AddressRecord, type Records, records } from "../AddressRecord.ts"
import { AddressRecords, type Options } from "../AddressRecords.ts"
import type { Primitives } from "../crypto/Primitives.ts"
import { fileSystem } from "../fileSystem.ts"
import { nowSeconds } from "../sinceEpoch.ts"
import { type Offer, type Source, SourceError } from "./source.ts"

const offer = ({ bytes }: AddressRecord): Offer => ({ _tag: "Signed", bytes })

/** A source that answers from memory. */
const answering = (name: string, kept: AddressRecords): Source => ({
  name,
  find: (key) => Stream.suspend(() => Stream.fromIterable([kept.get(key)].flatMap((record) => record ?? []).map(offer)))
})

const keep = (all: ReadonlyArray<AddressRecord>, now: number): AddressRecords => {
  const kept = new AddressRecords({ keys: Math.max(1, all.length) })
  for (const record of all) kept.add(record, now)
  return kept
}

/** The record of a line, if it is one of this network. */
const recordOf = ({ decode }: Records, line: string): AddressRecord | undefined =>
  Result.getOrUndefined(Result.flatMap(Base64.decode(line), decode))

/**
 * The records that a program is given, with its configuration for example.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRecords = (all: ReadonlyArray<AddressRecord>): Effect.Effect<Source> =>
  Effect.map(nowSeconds, (now) => answering("records of the program", keep(all, now)))

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
    const unreadable = (cause: PlatformError) =>
      new SourceError({ source: name, detail: `it can't be read: ${cause.message}`, isRetryable: true, cause })
    const lines = Effect.gen(function* () {
      const { size } = yield* fs.stat(path)
      if (size > largestFile) {
        const detail = `it has more than ${largestFile} bytes`
        return yield* new SourceError({ source: name, detail, isRetryable: false })
      }
      const text = yield* fs.readFileString(path)
      return text
        .split("\n")
        .map((line) => line.trim())
        .filter((line) => line !== "" && !line.startsWith("#"))
    }).pipe(Effect.catchTag("PlatformError", (error) => Effect.fail(unreadable(error))))
    const read = Effect.flatMap(lines, (all) =>
      Effect.gen(function* () {
        const found = all.map((line) => recordOf(wire, line))
        const bad = found.indexOf(undefined)
        if (bad >= 0) yield* Effect.logWarning(`${name}: record number ${bad + 1} is no record of this network`)
        return keep(
          found.filter((record) => record !== undefined),
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
    const refused = (detail: string) => Effect.fail(new SourceError({ source: "board", detail, isRetryable: false }))
    return {
      ...answering("board", kept),
      publish: (record) =>
        Effect.flatMap(nowSeconds, (now) => {
          const verdict = kept.add(record, now)
          if (verdict === "older")
            return refused("it has a newer record of this peer: publish one with a higher sequence")
          if (verdict === "conflict") return refused("it has another record of this peer with the same sequence")
          return Effect.void
        })
    }
  })
