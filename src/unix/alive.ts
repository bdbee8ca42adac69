/**
 * Whether a socket of ours has a listener, as the kernel says it. Connecting would tell too, but would take the one
 * conversation of a listener that has just one.
 *
 * The kernel lists a socket by the name with which it was bound, and each of ours is bound under a private name beside
 * its path. So that name begins with what stands for the path.
 */
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"

/** What the private names for a path begin with: a hash of its folder and of its name in there. */
export const prefixOf = (target: string): string => {
  const { dev, ino } = fs.statSync(path.dirname(target))
  const hash = createHash("sha256")
    .update(`${dev} ${ino} ${path.basename(target)}`)
    .digest("hex")
  return `.s${hash.slice(0, 8)}`
}

/** Where Linux lists the sockets of this network namespace. */
const table = "/proc/net/unix"
/** Of its flags, the one that a listening socket has. */
const accepts = 0x10000

/** Whether another socket than `own` listens for the path. `false`: the kernel doesn't say so, which proves nothing. */
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
