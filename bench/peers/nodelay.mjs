/** TCP_NODELAY on every socket of this process, which multiserver does not set. */
import net from "node:net"

export const forceNoDelay = () => {
  const { connect } = net.Socket.prototype
  net.Socket.prototype.connect = function (...args) {
    this.setNoDelay(true)
    return connect.apply(this, args)
  }
  const { emit } = net.Server.prototype
  net.Server.prototype.emit = function (event, ...args) {
    if (event === "connection") args[0].setNoDelay(true)
    return emit.call(this, event, ...args)
  }
}
