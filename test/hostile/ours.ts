/** What our processes of the hostile tests share: the stacks, what they count of themselves, and one exchange. */
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Result from "effect/Result"
import * as AppKey from "../../src/AppKey.ts"
import * as Configuration from "../../src/Configuration.ts"
import * as NodeKem from "../../src/crypto/NodeKem.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as NoisePq from "../../src/noisepq/NoisePq.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"

const environment = ConfigProvider.layer(ConfigProvider.constantCase(ConfigProvider.fromEnv()))

/** What wss listens and dials with: `TLS` in the environment is the folder of it. */
const secure = ({ TLS: folder }: NodeJS.ProcessEnv): WebSocket.SecureOptions => {
  if (folder === undefined) return {}
  const file = (name: string) => path.join(folder, name)
  return { credentials: { key: file("server.key"), cert: file("server.crt") }, ca: file("ca.crt") }
}

/**
 * The stacks under attack, with a new identity and default limits, but what MULTISERVER_... in the environment says.
 */
export const multiserver = (appKey: AppKey.AppKey) =>
  Multiserver.layer([
    ...(["net~shs", "net~noise", "net~noisepq", "net~noauth"] as const),
    ...(["ws", "ws~shs", "ws~noise", "wss", "wss~shs", "wss~noise"] as const)
  ]).pipe(
    Layer.provide([
      Net.layer(),
      WebSocket.layer(),
      WebSocket.layerSecure(secure(process.env)),
      Shs.layer(),
      Noise.layer(),
      NoisePq.layer(),
      Noauth.layer()
    ]),
    Layer.provide(AppKey.layer(appKey)),
    Layer.provideMerge(Identity.layerEphemeral),
    Layer.provide([Sodium.layer, NodeKem.layer, Layer.provide(Configuration.layerLimits, environment)])
  )

// -----------------------------------------------------------------------------
// one exchange
// -----------------------------------------------------------------------------

/** How an exchange went: `end` after a clean one, otherwise the tag of the reason for which it failed. */
export interface Outcome {
  readonly ok: boolean
  readonly tag: string
}

const ping = new TextEncoder().encode("ping")

/** Dials, says `ping` and goodbye, and reads to the peer's goodbye. */
export const exchange = (
  address: string,
  options?: Multiserver.DialOptions
): Effect.Effect<Outcome, never, Multiserver.Multiserver> =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(address, options)
    yield* connection.write(ping)
    yield* connection.end
    yield* connection.pull.pipe(
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.void)
    )
  }).pipe(
    Effect.scoped,
    Effect.result,
    Effect.map((result): Outcome => {
      if (Result.isSuccess(result)) return { ok: true, tag: "end" }
      const { reason } = result.failure
      return { ok: false, tag: reason._tag === "HandshakeError" ? reason.reason._tag : reason._tag }
    })
  )

// -----------------------------------------------------------------------------
// what a process counts of itself
// -----------------------------------------------------------------------------

/** What must be as it was when the attack is over, and the memory. */
export interface Counts {
  readonly fds: number
  readonly sockets: number
  readonly timers: number
  readonly fibers: number
  /** Bytes. */
  readonly rss: number
  /** Bytes that are in use after a collection. */
  readonly heap: number
  /** Of these, bytes of buffers. */
  readonly buffers: number
}

/** Fibers by Effect's own account. */
const fibers = { live: 0 }

export const layerCounts = Layer.succeed(Metric.FiberRuntimeMetrics, {
  recordFiberStart: () => void fibers.live++,
  recordFiberEnd: () => void fibers.live--
})

/**
 * With what two collections leave, when memory counts: buffers of the dead are given back some time after the first.
 */
const counts = async (collected: boolean): Promise<Counts> => {
  if (collected) {
    globalThis.gc?.()
    await sleep(50)
    globalThis.gc?.()
  }
  const active = process.getActiveResourcesInfo()
  const { arrayBuffers: buffers, external, heapUsed, rss } = process.memoryUsage()
  return {
    fds: fs.existsSync("/proc/self/fd") ? fs.readdirSync("/proc/self/fd").length : 0,
    sockets: active.filter((name) => name === "TCPSocketWrap").length,
    timers: active.filter((name) => name === "Timeout").length,
    fibers: fibers.live,
    rss,
    heap: heapUsed + external,
    buffers
  }
}

/**
 * Answers who started this process with a channel for it, and nobody on the network: how much there is of everything.
 */
export const answerCounts = <A extends object>(also: () => A): void => {
  process.on("message", (message) => {
    const collected = typeof message === "object" && message !== null && "collected" in message
    // A turn later: what has just ended is counted while it is on the stack.
    sleep(1)
      .then(() => counts(collected))
      .then((all) => process.send?.({ ...all, ...also() }))
  })
  process.channel?.unref()
}
