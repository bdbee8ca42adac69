/**
 * Starts a program with sockets that this process has bound, as systemd does, on any machine.
 *
 * node activate.mjs '{"bind":[{"host":"::"},{"path":"/x","mode":384}],"runs":1,"env":{}}' PROGRAM ARGS...
 *
 * The program gets the sockets from descriptor 3 on. In ARGS, `{0}` is the port of the first socket. When the program
 * has ended, it is started again until it has run `runs` times. Meanwhile the sockets stay bound, as systemd's do.
 * Signals go to the program, and the exit code is that of its last run. `kind` of a socket: `connection` passes one
 * that is connected, `file` a file, instead of one that listens.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"

const here = fileURLToPath(import.meta.url)

/** Binds, and gives the descriptor and the port. */
const bind = ({ host, kind = "listening", mode, path }) =>
  new Promise((resolve) => {
    if (kind === "file") return resolve({ fd: fs.openSync(here, "r"), port: 0 })
    const server = net.createServer((socket) => resolve({ fd: socket._handle.fd, port: 0 }))
    server.listen(path === undefined ? { host, port: 0 } : { path }, () => {
      if (path !== undefined) fs.chmodSync(path, mode)
      if (kind === "connection") return void net.connect(path ?? server.address().port, host)
      resolve({ fd: server._handle.fd, port: path === undefined ? server.address().port : 0 })
    })
  })

if (!isMainThread) {
  // A thread that sleeps accepts nothing, so each connection waits in the kernel's queue for the program.
  parentPort.postMessage(await Promise.all(workerData.map(bind)))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

if (isMainThread) {
  const [text, ...given] = process.argv.slice(2)
  const { bind: places, env = {}, runs = 1 } = JSON.parse(text)
  new Worker(here, { workerData: places }).once("message", (bound) => {
    const args = given.map((each) => each.replace(/\{(\d+)\}/g, (_, index) => bound[Number(index)].port))
    const variables = { LISTEN_FDS: String(bound.length), ...process.env, ...env }
    let child
    const start = (left) => {
      // The shell becomes the program, so that the number is the program's.
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
      child = spawn("/bin/sh", ["-c", 'LISTEN_PID=${LISTEN_PID-$$} exec "$@"', "sh", ...args], {
        env: variables,
        stdio: ["inherit", "inherit", "inherit", ...bound.map(({ fd }) => fd)]
      })
      child.on("exit", (code, signal) => {
        if (left > 1) return start(left - 1)
        process.exitCode = code ?? 1
        process.stderr.write(signal === null ? "" : signal, () => process.exit())
      })
    }
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
    start(runs)
  })
}
