/** What the Effect programs of the bench do with a connection of ours. */
import { effect } from "./ours.mjs"

const Effect = await effect("Effect")

/** `body` so many times, one after the other. */
export const repeat = (count, body, step = () => {}) => {
  let i = 0
  return Effect.whileLoop({
    while: () => i < count,
    body,
    step: (a) => {
      i++
      step(a)
    }
  })
}

/** Writes a message and waits for as many bytes. */
export const exchange = (connection, chunk) => {
  let missing = chunk.length
  return Effect.andThen(
    connection.write(chunk),
    Effect.whileLoop({
      while: () => missing > 0,
      body: () => connection.pull,
      step: (batch) => {
        for (const { length } of batch) missing -= length
      }
    })
  )
}
