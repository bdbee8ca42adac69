/** Listens, and takes nobody: once its queue is full, the system drops the packets of those who connect. */
import * as net from "node:net"

const server = net.createServer().listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
  process.stdout.write(`${(server.address() as net.AddressInfo).port}\n`, () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })
})
