/**
 * A process that attacks. It is told in JSON lines on stdin: `{"attack", "order"}` begins one of `attackers/`,
 * `{"tell"}` goes to that attack, `{"stop"}` asks it to end. What the attack says are JSON lines on stdout, the last of
 * them `{"result"}`. Then the next attack may begin.
 */
import { subscribe } from "node:diagnostics_channel"
import { EventEmitter } from "node:events"
import { createInterface } from "node:readline"

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)

const sockets = new Set()
const keep = ({ socket }) => {
  sockets.add(socket)
  socket.once("close", () => sockets.delete(socket))
}
subscribe("net.client.socket", keep)
subscribe("net.server.socket", keep)

/** Where what is told goes: it waits until the attack listens. */
let told
let stop = () => {}

const begin = async (name, order) => {
  const own = new EventEmitter()
  const early = []
  told = (order) => (own.emit("order", order) ? undefined : early.push(order))
  let isStopped = false
  const stopped = new Promise((resolve) => {
    stop = () => {
      isStopped = true
      resolve()
    }
  })
  const { default: attack } = await import(`./attackers/${name}.mjs`)
  const onLine = (listener) => {
    own.on("order", listener)
    for (const order of early.splice(0)) listener(order)
  }
  const result = await attack({ ...order, say, stopped, isStopped: () => isStopped, onLine })
  // What an attack holds to its end goes with it.
  stop()
  for (const socket of sockets) socket.destroy()
  say({ result: result ?? {} })
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { attack, order, stop: asked, tell } = JSON.parse(line)
    if (attack !== undefined) begin(attack, order)
    else if (asked) stop()
    else told(tell)
  })
  .on("close", () => process.exit(0))
