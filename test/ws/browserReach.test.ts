import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { reachOf as onNode } from "../../src/sockets/ip.ts"
import { isIp, reachOf } from "../../src/ws/browserReach.ts"

const hosts = [
  ...["localhost", "example.org", "127.1", "10.in-addr.arpa", "1.2.3.4.5", "x", "fe80", "fc00.example"],
  ...["010.0.0.1", "127.0.0.01", "10.0.0.256", "999.1.1.1"],
  ...["127.0.0.1", "127.255.255.254", "128.0.0.1", "0.0.0.0", "10.0.0.1", "9.255.255.255", "11.0.0.0"],
  ...["172.15.0.1", "172.16.0.1", "172.31.255.255", "172.32.0.1", "192.168.1.1", "192.167.1.1", "192.169.0.0"],
  ...["169.254.1.1", "169.253.1.1", "169.255.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255"],
  ...["::1", "::", "::2", "0:0:0:0:0:0:0:1", "0::1", "::0001", "1::", "1::1", "::1:1", "::1:0:0", "::ffff:0:0"],
  ...[
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::FFFF:a00:1",
    "::ffff:1.2.3.4",
    "0:0:0:0:0:ffff:127.0.0.1"
  ],
  ...["::127.0.0.1", "::0.0.0.1", "64:ff9b::127.0.0.1", "::1:ffff:127.0.0.1"],
  ...[
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fec0::1",
    "fe7f::1",
    "FC00::1",
    "fdff::1",
    "fe00::1",
    "fbff::1",
    "2001:db8::1"
  ]
]

describe("how far a host reaches, by the browser's rules", () => {
  it.each(hosts)("is for %s what it is by Node's", (host) => assert.strictEqual(reachOf(host), onNode(host)))

  it("is the same for any IP", () => {
    const group = fc.oneof(fc.nat(0xffff), fc.constantFrom(0, 1, 0xffff, 0x7f00, 0x0a00, 0xfe80, 0xfc00, 0xc0a8))
    const ipv6 = fc
      .tuple(fc.array(group, { minLength: 8, maxLength: 8 }), fc.nat(8), fc.nat(8))
      .map(([groups, from, length]) => {
        const to = Math.min(8, from + length)
        const text = (part: ReadonlyArray<number>) => part.map((each) => each.toString(16)).join(":")
        return from === to ? text(groups) : `${text(groups.slice(0, from))}::${text(groups.slice(to))}`
      })
    const ipv4 = fc
      .tuple(fc.constantFrom(10, 127, 169, 172, 192, 1, 0), fc.nat(255), fc.nat(255), fc.nat(255))
      .map((parts) => parts.join("."))
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (ip) => {
        assert.strictEqual(reachOf(ip), onNode(ip))
        assert.isTrue(isIp(ip))
      }),
      { numRuns: 2000 }
    )
  })

  it("knows an IP from a name", () => {
    assert.deepStrictEqual(
      hosts.filter((host) => !isIp(host)),
      hosts.filter((host) => net.isIP(host.replace(/%.*$/, "")) === 0)
    )
  })
})
