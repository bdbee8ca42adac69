/** Ports for tests of one process: what is posted comes back to who posts it, as between two threads. */
import type { MessagePortLike } from "../../src/port/MessagePorts.ts"
import * as MessagePorts from "../../src/port/MessagePorts.ts"

/** A port that hears what it posts: so one layer can dial its own listener. */
export const loopback = (): MessagePortLike => {
  const { port1, port2 } = new MessageChannel()
  const out: MessagePortLike = port1
  return {
    postMessage: (message, transfer) => out.postMessage(message, transfer),
    addEventListener: (type, listener) => port2.addEventListener(type, listener),
    removeEventListener: (type, listener) => port2.removeEventListener(type, listener),
    start: () => port2.start()
  }
}

/** The transport `port` whose names each lead back to it. */
export const ports = (...names: ReadonlyArray<string>) =>
  MessagePorts.layer({ ports: Object.fromEntries(names.map((name) => [name, loopback()])) })
