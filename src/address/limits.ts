/** How large an address may be. Peers pass addresses on, so anybody's text is parsed here: it must cost little. */

/**
 * The longest address, in bytes of UTF-8.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxAddressBytes = 2048
/**
 * The most addresses in a multi-address.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxAddresses = 16
/**
 * The most sections in an address.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxSections = 8

const encoder = new TextEncoder()

/** Whether the text of one address is short enough. A UTF-16 code unit takes at most three bytes. */
export const fits = (address: string): boolean =>
  address.length <= maxAddressBytes / 3 || encoder.encode(address).length <= maxAddressBytes
