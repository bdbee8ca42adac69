/**
 * Asks the kernel whether a socket that this library has bound has a listener. Connecting would tell too, but would use
 * up the only connection of a listener that accepts just one.
 *
 * The kernel lists a socket by the name under which it was bound. This library binds each socket under a private name
 * beside its path (`Unix.ts`), so the private name begins with a hash that stands for the path.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"

/** The beginning of the private names for a path: a hash of its folder and of its name in that folder. */
export const prefixOf = (target: string): string => {
  const { dev, ino } = fs.statSync(path.dirname(target))
  const hash = createHash("sha256")
    .update(`${dev} ${ino} ${path.basename(target)}`)
    .digest("hex")
  return `.s${hash.slice(0, 8)}`
}

/** Where Linux lists the unix sockets of this network namespace. */
const table = "/proc/net/unix"
/** The flag that a listening socket has in that table. */
const accepts = 0x10000

/** Whether the kernel lists a listener for the path other than `own`. `false` proves nothing: it may not list it. */
export const isListed = (target: string, own: string): boolean => {
  if (!fs.existsSync(table)) return false
  const prefix = prefixOf(target)
  return fs
    .readFileSync(table, "utf8")
    .split("\n")
    .some((line) => {
      const [, , , flags = "", , , , name = ""] = line.split(/\s+/)
      const isOther = path.basename(name).startsWith(prefix) && path.basename(name) !== path.basename(own)
      return isOther && (Number.parseInt(flags, 16) & accepts) !== 0
    })
}
