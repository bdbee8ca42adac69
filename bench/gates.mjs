/**
 * What has to hold (`limit`), and what is aimed at: ratios of figures of one interleaved run, so that the machine
 * cancels out. Each is computed per repetition from the cells of that repetition, and its value is the median; but of
 * pings the quietest counts. The `floor` is what the value would be if our side took only what libsodium and node:net
 * take. `whole`: only the whole run has its figures.
 */
import { median } from "./measure.mjs"

/** A run on a busy machine may miss a limit by this much before it counts as a failure. */
export const slack = 0.15

const bulk = (of, peer, test = "bulk64k") => of(test, peer).cpuPerGib
const small = (of, peer) => of("bulk100", peer).messagesPerSecond
const dialCpu = (of, peer, test = "dials64") => of(test, peer).cpuMicros
/** Neighbours only ever add to a ping. */
const quietest = (cells) => Math.min(...cells.map(({ p50 }) => p50))
const bound = (of, peer) => of("bound", peer).cpuPerGib + bulk(of, "net")
const dialBound = (of) => of("handshake", "ours").primitivesMicros + dialCpu(of, "net")
const dialRate = (of, peer) => of("dials", peer).perSecond

export const gates = [
  {
    name: "bulk 64 KiB CPU per GiB / multiserver nodelay",
    most: 0.5,
    aim: 0.43,
    value: (of) => bulk(of, "ours") / bulk(of, "ms-nodelay"),
    floor: (of) => bound(of, "libsodium") / bulk(of, "ms-nodelay")
  },
  {
    name: "the same / (libsodium bound + node:net)",
    most: 1.45,
    aim: 1.25,
    value: (of) => bulk(of, "ours") / bound(of, "libsodium"),
    floor: () => 1
  },
  {
    name: "the same, borrowed reads, 100 MB live heap / without",
    most: 1.2,
    aim: 1.05,
    value: (of) => bulk(of, "ours-borrowed-ballast") / bulk(of, "ours-borrowed")
  },
  {
    name: "100 B messages per second / multiserver nodelay",
    least: 25,
    aim: 35,
    value: (of) => small(of, "ours") / small(of, "ms-nodelay")
  },
  { name: "the same / node:net", least: 6, aim: 10, value: (of) => small(of, "ours") / small(of, "net") },
  {
    name: "ping p50 / node:net",
    most: 1.6,
    aim: 1.3,
    value: (_of, all) => quietest(all("ping", "ours")) / quietest(all("ping", "net"))
  },
  {
    name: "64 dials at once, CPU per dial / multiserver nodelay",
    most: 0.68,
    aim: 0.58,
    value: (of) => dialCpu(of, "ours") / dialCpu(of, "ms-nodelay"),
    floor: (of) => dialBound(of) / dialCpu(of, "ms-nodelay")
  },
  {
    name: "the same / node:tls mutual Ed25519",
    most: 0.65,
    aim: 0.55,
    value: (of) => dialCpu(of, "ours") / dialCpu(of, "tls-mutual"),
    floor: (of) => dialBound(of) / dialCpu(of, "tls-mutual")
  },
  {
    name: "sequential dials per second / multiserver",
    least: 60,
    aim: 100,
    value: (of) => dialRate(of, "ours") / dialRate(of, "ms")
  },
  {
    name: "handshake CPU / sum of its primitives",
    most: 1.15,
    aim: 1.08,
    value: (of) => of("handshake", "ours").machineMicros / of("handshake", "ours").primitivesMicros,
    floor: () => 1
  },
  {
    name: "idle memory per connection at 5,000 / multiserver",
    most: 0.85,
    aim: 0.6,
    value: (of) => of("idle5000", "ours").kib / of("idle5000", "ms").kib
  },
  {
    name: "ws~shs bulk CPU per GiB / multiserver ws~shs",
    most: 0.55,
    aim: 0.4,
    value: (of) => bulk(of, "ours-ws") / bulk(of, "ms-ws")
  },
  {
    name: "net~noise bulk CPU per GiB / our net~shs",
    whole: true,
    most: 0.65,
    aim: 0.6,
    value: (of) => bulk(of, "ours-noise", "noise64k") / bulk(of, "ours", "noise64k"),
    floor: (of) => bound(of, "libsodium-noise") / bound(of, "libsodium")
  },
  {
    name: "the same / node:tls ChaCha20-Poly1305",
    whole: true,
    most: 1.6,
    aim: 1.35,
    value: (of) => bulk(of, "ours-noise", "noise64k") / bulk(of, "tls-chacha20", "noise64k"),
    floor: (of) => bound(of, "libsodium-noise") / bulk(of, "tls-chacha20", "noise64k")
  },
  {
    name: "net~noise, 64 dials at once, CPU per dial / our net~shs",
    whole: true,
    most: 1.1,
    aim: 1,
    value: (of) => dialCpu(of, "ours-noise", "noiseDials64") / dialCpu(of, "ours", "noiseDials64")
  }
]

class NotMeasured extends Error {}

/** The cells of one peer in one test. */
const cellsOf = (raw, test, peer) => {
  const cells = raw[test]?.[peer]
  if (cells === undefined) throw new NotMeasured(`${test} ${peer}`)
  return cells
}

/** A gate's value in each repetition. A figure of a test that runs only once is the same in all of them. */
const valuesOf = (formula, raw) => {
  const values = []
  for (let repetition = 0, repetitions = 1; repetition < repetitions; repetition++) {
    const all = (test, peer) => cellsOf(raw, test, peer)
    const of = (test, peer) => {
      const cells = all(test, peer)
      repetitions = Math.max(repetitions, cells.length)
      return cells[Math.min(repetition, cells.length - 1)]
    }
    values.push(formula(of, all))
  }
  return values
}

const evaluate = (formula, raw) => {
  if (formula === undefined) return undefined
  try {
    return median(valuesOf(formula, raw))
  } catch (error) {
    if (error instanceof NotMeasured) return undefined
    throw error
  }
}

const isMet = ({ least, most }, value, margin) =>
  most === undefined ? value >= least / (1 + margin) : value <= most * (1 + margin)

/** Each gate with its value, whether it is met, and whether it is missed by more than noise. */
export const judge = (raw, quick) =>
  gates
    .filter(({ whole }) => !quick || !whole)
    .map((gate) => {
      const value = evaluate(gate.value, raw)
      if (value === undefined) return { gate, value, verdict: "not measured", failed: true }
      const verdict = isMet(gate, value, 0) ? "ok" : "MISSED"
      return { gate, value, floor: evaluate(gate.floor, raw), verdict, failed: !isMet(gate, value, slack) }
    })
