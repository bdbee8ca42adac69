/**
 * Whether a text is an IPv6 address. It is a scanner that makes no objects: `NetAddress`, which answers the same, made
 * the whole address take five times as long. `net.isIPv6` is of Node alone, and React Native has no complete `URL`.
 */

const colon = 58
const dot = 46

/** Four numbers up to 255, without zeros before them. */
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/

const isHexDigit = (code: number): boolean => {
  const lower = code | 32
  return (code >= 48 && code <= 57) || (lower >= 97 && lower <= 102)
}

/** Whether the text up to `end` is an IPv6 address: groups of digits, at most one `::`, and perhaps IPv4 at its end. */
export const isIpv6 = (text: string, end = text.length): boolean => {
  let groups = 0
  let compressed = text.startsWith("::")
  let at = compressed ? 2 : 0
  while (at < end) {
    const start = at
    while (at < end && isHexDigit(text.charCodeAt(at))) at++
    if (at < end && text.charCodeAt(at) === dot) {
      if (!ipv4.test(text.slice(start, end))) return false
      groups += 2
      break
    }
    if (at === start || at > start + 4) return false
    groups++
    if (at === end) break
    if (text.charCodeAt(at++) !== colon || at === end) return false
    if (text.charCodeAt(at) === colon) {
      if (compressed) return false
      compressed = true
      at++
    }
  }
  // `::` stands for at least one group of zeros.
  return compressed ? groups < 8 : groups === 8
}
