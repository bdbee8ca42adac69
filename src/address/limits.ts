/** What an address may measure: text from gossip costs linear time, and little of it. */

/** The longest address, in bytes of UTF-8. */
export const maxAddressBytes = 2048
/** The most addresses in a multi-address. */
export const maxAddresses = 16
/** The most sections in an address. */
export const maxSections = 8

const encoder = new TextEncoder()

/** Whether the text of one address is short enough. A UTF-16 code unit takes at most three bytes. */
export const fits = (address: string): boolean =>
  address.length <= maxAddressBytes / 3 || encoder.encode(address).length <= maxAddressBytes
