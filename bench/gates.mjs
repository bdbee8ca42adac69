/**
 * What is promised: for each promise its limit (`most` or `least`), and what is aimed at. Nearly all are ratios of
 * figures of one round, so that the machine cancels out. The cells that the promises of one `match` need are measured
 * one right after the other, round by round. `statistics.mjs` says what may be concluded from the values of all rounds.
 *
 * The `floor` is what the value would be if our side took only what libsodium and node:net take. `slow`: left out of a
 * quick run.
 */
import { fewest, interval, verdictOf } from "./statistics.mjs"

const bulk = (of, peer, test = "bulk64k") => of(test, peer).cpuPerGib
const small = (of, peer) => of("bulk100", peer).messagesPerSecond
const dial = (of, peer) => of("dials", peer).cpuMicros
const dial64 = (of, peer) => of("dials64", peer).cpuMicros
const bound = (of, peer) => of("bound", peer).cpuPerGib + bulk(of, "net")
const dialBound = (of) => of("handshake", "ours").primitivesMicros + dial64(of, "net")

export const gates = [
  {
    match: "bulk",
    name: "bulk 64 KiB, CPU per GiB / multiserver nodelay",
    most: 0.46,
    aim: 0.42,
    value: (of) => bulk(of, "ours") / bulk(of, "ms-nodelay"),
    floor: (of) => bound(of, "libsodium") / bulk(of, "ms-nodelay")
  },
  {
    match: "bulk",
    name: "bulk 64 KiB, CPU per GiB / (libsodium + node:net)",
    most: 1.3,
    aim: 1.2,
    value: (of) => bulk(of, "ours") / bound(of, "libsodium"),
    floor: () => 1
  },
  {
    match: "borrowed",
    slow: true,
    name: "bulk 64 KiB, borrowed reads: with 100 MB live heap / without",
    most: 1.2,
    aim: 1.05,
    value: (of) => bulk(of, "ours-borrowed-ballast") / bulk(of, "ours-borrowed")
  },
  {
    match: "noise",
    name: "noise bulk 64 KiB, CPU per GiB / hyperswarm secret-stream",
    most: 0.68,
    aim: 0.6,
    value: (of) => bulk(of, "ours-noise") / bulk(of, "hyperswarm"),
    floor: (of) => bound(of, "libsodium-noise") / bulk(of, "hyperswarm")
  },
  {
    match: "noise",
    name: "noise bulk 64 KiB, CPU per GiB / node:tls ChaCha20-Poly1305",
    most: 1.2,
    aim: 1,
    value: (of) => bulk(of, "ours-noise") / bulk(of, "tls-chacha20"),
    floor: (of) => bound(of, "libsodium-noise") / bulk(of, "tls-chacha20")
  },
  {
    match: "noise beside shs",
    slow: true,
    name: "noise bulk 64 KiB, CPU per GiB / our net~shs",
    most: 0.65,
    aim: 0.6,
    value: (of) => bulk(of, "ours-noise") / bulk(of, "ours"),
    floor: (of) => bound(of, "libsodium-noise") / bound(of, "libsodium")
  },
  {
    match: "echo",
    name: "noise echo 64 KiB, CPU per GiB / hyperswarm",
    most: 0.9,
    aim: 0.75,
    value: (of) => bulk(of, "ours-noise", "echo") / bulk(of, "hyperswarm", "echo")
  },
  {
    match: "small messages of noise",
    name: "noise 100 B messages per second / node:tls AES-128-GCM",
    least: 0.7,
    aim: 1,
    value: (of) => small(of, "ours-noise") / small(of, "tls-aes128")
  },
  {
    match: "small messages",
    name: "shs 100 B messages per second / multiserver nodelay",
    least: 25,
    aim: 35,
    value: (of) => small(of, "ours") / small(of, "ms-nodelay")
  },
  {
    match: "ping",
    name: "ping p50 / node:net",
    most: 1.3,
    aim: 1.15,
    value: (of) => of("ping", "ours").p50 / of("ping", "net").p50
  },
  {
    match: "dials",
    name: "sequential dials, CPU per dial / multiserver nodelay",
    most: 0.9,
    aim: 0.75,
    value: (of) => dial(of, "ours") / dial(of, "ms-nodelay")
  },
  {
    match: "dials of all",
    slow: true,
    name: "sequential dials per second / multiserver",
    least: 60,
    aim: 100,
    value: (of) => of("dials", "ours").perSecond / of("dials", "ms").perSecond
  },
  {
    match: "dials64",
    name: "64 dials at once, CPU per dial / multiserver nodelay",
    most: 0.75,
    aim: 0.6,
    value: (of) => dial64(of, "ours") / dial64(of, "ms-nodelay"),
    floor: (of) => dialBound(of) / dial64(of, "ms-nodelay")
  },
  {
    match: "dials64",
    name: "64 dials at once, CPU per dial / node:tls mutual Ed25519",
    most: 0.64,
    aim: 0.55,
    value: (of) => dial64(of, "ours") / dial64(of, "tls-mutual"),
    floor: (of) => dialBound(of) / dial64(of, "tls-mutual")
  },
  {
    match: "dials64",
    slow: true,
    name: "noise 64 dials at once, CPU per dial / our net~shs",
    most: 1.1,
    aim: 1,
    value: (of) => dial64(of, "ours-noise") / dial64(of, "ours")
  },
  {
    match: "handshake",
    name: "handshake CPU / sum of its primitives",
    most: 1.12,
    aim: 1.06,
    value: (of) => of("handshake", "ours").machineMicros / of("handshake", "ours").primitivesMicros,
    floor: () => 1
  },
  {
    match: "ws dials",
    name: "ws~shs sequential dials, CPU per dial / multiserver ws~shs",
    most: 0.95,
    aim: 0.85,
    value: (of) => dial(of, "ours-ws") / dial(of, "ms-ws")
  },
  {
    match: "ws dials64",
    name: "ws~shs 64 dials at once, CPU per dial / multiserver ws~shs",
    most: 0.8,
    aim: 0.7,
    value: (of) => dial64(of, "ours-ws") / dial64(of, "ms-ws")
  },
  {
    match: "ws idle",
    slow: true,
    name: "ws~shs heap per idle connection at 1,000 / multiserver ws~shs",
    most: 0.9,
    aim: 0.75,
    value: (of) => of("idle1000", "ours-ws").heapKib / of("idle1000", "ms-ws").heapKib
  },
  {
    match: "ws bulk",
    name: "ws~shs bulk 64 KiB / multiserver ws~shs, both without bufferutil",
    most: 0.75,
    aim: 0.6,
    value: (of) => bulk(of, "ours-ws") / bulk(of, "ms-ws")
  },
  {
    match: "ws bulk, bufferutil",
    name: "ws~shs bulk 64 KiB / multiserver ws~shs, both with bufferutil",
    most: 0.62,
    aim: 0.5,
    value: (of) => bulk(of, "ours-ws-bufferutil") / bulk(of, "ms-ws-bufferutil")
  },
  {
    match: "idle",
    slow: true,
    name: "idle memory per connection at 5,000 / multiserver nodelay",
    most: 0.65,
    aim: 0.5,
    value: (of) => of("idle5000", "ours").kib / of("idle5000", "ms-nodelay").kib
  },
  {
    match: "addresses",
    name: "addresses decoded per second on one core",
    least: 1_000_000,
    aim: 1_500_000,
    value: (of) => of("decode", "ours").perCpuSecond
  },
  {
    match: "growing dials",
    slow: true,
    name: "CPU per dial, 512 at once / 8 at once",
    most: 1.15,
    aim: 1.05,
    value: (of) => of("growDials", "ours").growth
  },
  {
    match: "growing transfers",
    slow: true,
    name: "CPU per GiB, transfers of 4 GiB / of 16 MiB",
    most: 1.15,
    aim: 1.05,
    value: (of) => of("growTransfers", "ours").growth
  }
]

/** The cells whose figures a gate needs, which is what its formula asks for. */
export const cellsFor = ({ value }) => {
  const cells = new Map()
  value((test, peer) => {
    cells.set(`${test} ${peer}`, { test, peer })
    return new Proxy({}, { get: () => 1 })
  })
  return [...cells.values()]
}

/** A gate's value in each round that has all its cells. */
const valuesOf = (gate, rounds) => {
  const cells = cellsFor(gate)
  return rounds
    .filter((round) => cells.every(({ peer, test }) => round.has(`${test} ${peer}`)))
    .map((round) => gate.value((test, peer) => round.get(`${test} ${peer}`)))
}

/** The floor, from the medians of the whole run; `undefined` where one of the figures is not there. */
const floorOf = ({ floor }, medians) => {
  if (floor === undefined) return undefined
  let isThere = true
  const value = floor((test, peer) => {
    isThere &&= medians[test]?.[peer] !== undefined
    return medians[test]?.[peer] ?? {}
  })
  return isThere ? value : undefined
}

/**
 * Each gate with the values of its rounds, their median and interval, and the verdict: `met` or `missed` beyond doubt,
 * `unclear`, or `not measured` when cells of it have failed so often that nothing can be concluded.
 */
export const judge = (series, medians = {}) =>
  series.flatMap(({ gates = [], rounds }) =>
    gates.map((gate) => {
      const values = valuesOf(gate, rounds)
      const lacks = values.length < fewest && rounds.length >= fewest
      return {
        gate,
        values,
        ...(values.length > 0 ? interval(values) : {}),
        floor: floorOf(gate, medians),
        verdict: lacks ? "not measured" : verdictOf(gate, values)
      }
    })
  )

/** 1: a limit is missed beyond doubt. 2: none is, but a gate has no figures. A gate that is unclear is no failure. */
export const exitCodeOf = (judged) => {
  const verdicts = judged.map(({ verdict }) => verdict)
  if (verdicts.includes("missed")) return 1
  return verdicts.includes("not measured") ? 2 : 0
}
