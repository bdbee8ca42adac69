/** How messages are written, and how long they may be. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcSerialization from "effect/rpc/RpcSerialization"

type Serialization = RpcSerialization.RpcSerialization["Service"]

/** The longest message in bytes, where nobody says otherwise. */
export const defaultMaxMessage = 1024 * 1024

/** What a frame has besides its message: its length. */
const frameBytes = 16

/**
 * Binary, by the schemas. A message that is too long to send is a defect of its own call, and says so. Otherwise the
 * peer would break off the connection, and all calls with it.
 */
export const layer = (maxMessage: number): Layer.Layer<RpcSerialization.RpcSerialization> =>
  Layer.effect(
    RpcSerialization.RpcSerialization,
    Effect.map(
      RpcSerialization.RpcSerialization,
      (whole): Serialization => ({
        ...whole,
        makeUnsafe: () => {
          const parser = whole.makeUnsafe()
          return {
            decode: parser.decode,
            encode: (message) => {
              const bytes = parser.encode(message)
              if (bytes !== undefined && bytes.length > maxMessage) {
                throw new RangeError(`a message of ${bytes.length} bytes is longer than maxMessage, ${maxMessage}`)
              }
              return bytes
            }
          }
        }
      })
    )
  ).pipe(Layer.provide(RpcSerialization.layerSchemaBinary({ maxFrameSize: maxMessage + frameBytes })))

/** Calls `onBroken` when what was received is no message. What follows can't be read either. */
export const breaking = (serialization: Serialization, onBroken: () => void): Serialization => ({
  ...serialization,
  makeUnsafe: () => {
    const parser = serialization.makeUnsafe()
    return {
      encode: parser.encode,
      decode: (bytes) => {
        let isMessage = false
        try {
          const messages = parser.decode(bytes)
          isMessage = true
          return messages
        } finally {
          if (!isMessage) onBroken()
        }
      }
    }
  }
})
