/** Keeps the newest records in a `KeyValueStore`, so that a program that starts again knows them. */
import * as Effect from "effect/Effect"
import type * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { type AddressRecord, maxBytes, type Records } from "../AddressRecord.ts"
import type { AddressRecords } from "../AddressRecords.ts"

const name = "effect-multiserver/records"

/** All records in one value: each with its length in two bytes before it. */
const join = (records: ReadonlyArray<AddressRecord>): Uint8Array => {
  const joined = new Uint8Array(records.reduce((length, { bytes }) => length + 2 + bytes.length, 0))
  const view = new DataView(joined.buffer)
  let at = 0
  for (const { bytes } of records) {
    view.setUint16(at, bytes.length)
    joined.set(bytes, at + 2)
    at += 2 + bytes.length
  }
  return joined
}

const split = (joined: Uint8Array): ReadonlyArray<Uint8Array> => {
  const view = new DataView(joined.buffer, joined.byteOffset, joined.length)
  const parts: Array<Uint8Array> = []
  for (let at = 0; at + 2 <= joined.length; ) {
    const end = at + 2 + view.getUint16(at)
    if (end > joined.length || end - at - 2 > maxBytes) break
    parts.push(joined.subarray(at + 2, end))
    at = end
  }
  return parts
}

/** How long changes are gathered before they are written. */
const pause = "1 second"

/**
 * Reads what is stored into `kept`. From then on `changed` has it written again, at most once a second, and once more
 * when the scope closes. Each record is checked again when it is read. What can't be read or written is logged: the
 * program goes on without it.
 */
export const keep = Effect.fnUntraced(function* (
  store: KeyValueStore.KeyValueStore,
  { decode }: Records,
  kept: AddressRecords,
  now: number
) {
  const stored = yield* store
    .getUint8Array(name)
    .pipe(
      Effect.catch((error) =>
        Effect.as(Effect.logWarning("the stored address records can't be read", error), undefined)
      )
    )
  for (const bytes of split(stored ?? new Uint8Array(0))) {
    const record = decode(bytes)
    if (Result.isSuccess(record)) kept.add(record.success, now)
  }
  const changes = yield* Queue.sliding<void>(1)
  let isSaved = true
  // A write that has begun is not broken off: when the scope closes, it is waited for.
  const save = Effect.uninterruptible(
    Effect.suspend(() => {
      if (isSaved) return Effect.void
      isSaved = true
      return store
        .set(name, join(kept.all()))
        .pipe(Effect.catch((error) => Effect.logWarning("the address records can't be stored", error)))
    })
  )
  const saving = Effect.forever(Effect.andThen(Queue.take(changes), Effect.andThen(Effect.sleep(pause), save)))
  yield* Effect.addFinalizer(() => save)
  yield* Effect.forkScoped(saving)
  return Effect.sync(() => {
    isSaved = false
    Queue.offerUnsafe(changes, undefined)
  })
}) satisfies (...input: never) => Effect.Effect<Effect.Effect<void>, never, Scope.Scope>
