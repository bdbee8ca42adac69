/** js-libp2p: TCP, Noise, yamux, and one stream a connection. */
import { noise } from "@chainsafe/libp2p-noise"
import { tcp } from "@libp2p/tcp"
import { yamux } from "@libp2p/yamux"
import { multiaddr } from "@multiformats/multiaddr"
import { createLibp2p } from "libp2p"

const protocol = "/bench/1.0.0"
const many = 1e6

/** Its defaults are for strangers from anywhere; here one peer dials often. */
const unbounded = {
  connectionManager: {
    maxConnections: many,
    inboundConnectionThreshold: many,
    maxIncomingPendingConnections: many,
    maxParallelDials: 1000
  },
  connectionMonitor: { enabled: false }
}

const node = (listen) =>
  createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    ...unbounded
  })

const onMessage = (stream, listener) =>
  stream.addEventListener("message", ({ data }) => listener(data.subarray(), data.byteLength))

const connection = (own, stream) => ({
  pump: async (chunk, count) => {
    for (let i = 0; i < count; i++) if (!stream.send(chunk)) await stream.onDrain()
  },
  read: (onBytes) => onMessage(stream, (_chunk, length) => onBytes(length)),
  send: (chunk) => void stream.send(chunk),
  close: () => own.close()
})

export const make = async () => {
  const client = await node([])
  return {
    listen: async (mode, onBytes) => {
      const server = await node(["/ip4/127.0.0.1/tcp/0"])
      const serve = (stream) =>
        mode === "sink"
          ? onMessage(stream, (_chunk, length) => onBytes(length))
          : onMessage(stream, (chunk) => {
              if (!stream.send(chunk)) {
                stream.pause()
                stream.onDrain().then(
                  () => stream.resume(),
                  () => {}
                )
              }
            })
      await server.handle(protocol, serve, { maxInboundStreams: many })
      return server.getMultiaddrs()[0].toString()
    },
    dial: async (target) => {
      const own = await client.dial(multiaddr(target), { force: true })
      return connection(own, await own.newStream(protocol, { maxOutboundStreams: many }))
    }
  }
}
