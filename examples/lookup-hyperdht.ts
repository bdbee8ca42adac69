import { Hyperdht } from "effect-multiserver/hyperdht"
import { Lookup } from "effect-multiserver/node"

// #region find
/** Looks peers up in the DHT, and publishes nothing there. */
export const finds = (options: Hyperdht.Options = {}) => Lookup.layer([Hyperdht.source(options)])
// #endregion

// #region publish
/** Publishes there too: strangers learn the key of `Identity`, its addresses, and the IP of this machine. */
export const publishes = (options: Hyperdht.Options = {}) =>
  Lookup.layer([Hyperdht.source({ ...options, publish: true })])
// #endregion
