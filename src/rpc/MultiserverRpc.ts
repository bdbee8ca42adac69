/**
 * Effect's RPC over addresses: one layer for the server, one for the client, and who calls, in the handler's type.
 * docs/rpc.md shows it.
 */
export { type ClientOptions, layerProtocolClient, layerProtocolConnected, retryPolicy } from "./client.ts"
export { layerAuthorized, layerRequireKey, NotAdmitted, RemotePeer, RequireKey } from "./peers.ts"
export { layerServer, type ServerOptions } from "./server.ts"
