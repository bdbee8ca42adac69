/** The browsers of this machine, started so that they reach nothing but it. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import puppeteer, { type Browser } from "puppeteer-core"

const found = (names: ReadonlyArray<string>): string | undefined =>
  names.map((name) => `/usr/bin/${name}`).find((file) => fs.existsSync(file))

export const chromium = found(["chromium", "google-chrome"])
export const firefox = found(["firefox-esr", "firefox"])

/** The names that a test can give to `launch`. */
export type Name = "Chromium" | "Firefox"

export const present: ReadonlyArray<Name> = [
  ...(chromium === undefined ? [] : (["Chromium"] as const)),
  ...(firefox === undefined ? [] : (["Firefox"] as const))
]

/** For `describe.skipIf`. What is skipped says so. */
export const isMissing = (name: Name, what: string): boolean => {
  if (present.includes(name)) return false
  console.log(`NOT TESTED: ${what}, because there is no ${name} (scripts/install-browsers.sh)`)
  return true
}

/** Else a browser tells its driver the content of every frame, which costs more than to carry it. */
export const quiet = { networkEnabled: false }

const launchers: Readonly<Record<Name, () => Promise<Browser>>> = {
  Chromium: () =>
    puppeteer.launch({
      ...quiet,
      executablePath: chromium ?? "",
      // It looks up no name.
      args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    }),
  Firefox: () =>
    puppeteer.launch({
      ...quiet,
      browser: "firefox",
      executablePath: firefox ?? "",
      // All but this machine is behind a proxy that isn't there.
      extraPrefsFirefox: {
        "network.proxy.type": 1,
        "network.proxy.socks": "127.0.0.1",
        "network.proxy.socks_port": 9,
        "network.proxy.socks_remote_dns": true,
        "network.proxy.no_proxies_on": "127.0.0.1",
        "network.proxy.allow_hijacking_localhost": false
      }
    })
}

export const launch = (name: Name): Promise<Browser> => launchers[name]()

/** How a program starts in a network of its own that has only loopback; `undefined` where this machine makes none. */
export const ownNetwork: ReadonlyArray<string> | undefined = [
  ["unshare", "-n"],
  // Without root, one is root within.
  ["unshare", "-rn"]
]
  .map((unshare) => [...unshare, "sh", "-c", 'PATH=$PATH:/usr/sbin:/sbin ip link set lo up && exec "$@"', "sh"])
  .find(([program = "", ...args]) => spawnSync(program, [...args, "true"]).status === 0)
