/**
 * The SOCKS5 client of `socks`, without its timer.
 *
 * `socks` 2.8 sets a timer for each exchange and never clears it. Until that fires it keeps the client in memory, and
 * with it the socket, the user and the password: about 7 KiB for each dial that is long over. A dial has a deadline of
 * its own, so here the timer fires at once and does nothing.
 *
 * This replaces a method inside the client. Where a later version has no such method, the timer gets the longest time
 * that there is, so that it never ends a dial. Then test/onion/left.test.ts fails.
 */
import { SocksClient, type SocksClientOptions } from "socks"

/** The client's method that its timer calls. */
const onTimer = "onEstablishedTimeout"

export const makeClient = (options: Omit<SocksClientOptions, "timeout">): SocksClient => {
  const isKnown = typeof Reflect.get(SocksClient.prototype, onTimer) === "function"
  const client = new SocksClient({ ...options, timeout: isKnown ? 1 : 2 ** 31 - 1 })
  if (isKnown) Reflect.set(client, onTimer, () => {})
  return client
}
