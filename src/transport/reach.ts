/** How far a transport reaches: what transforms, policies and listeners ask about it. */

/**
 * From how far away an address can be reached: this device, its local network, or anywhere.
 *
 * @category models
 * @since 0.1.0
 */
export type Reach = "device" | "local" | "public"

/**
 * What transforms and policies may ask about the transport of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Below {
  /** How far the section reaches. Anything within that distance can dial it, or be at its other end. */
  readonly reach: Reach
  /** Whether only this user's own processes can be at the other end. */
  readonly trusted: boolean
}

/**
 * Where a dial leads, for a policy to judge.
 *
 * @category models
 * @since 0.1.0
 */
export interface Destination {
  readonly reach: Reach
  /** Whether the dial leads to IPs. If so, policy is also asked about each IP before anything is sent there. */
  readonly toIps: boolean
}

/**
 * Whether a section that reaches as far as `reach` can be dialed from within `scope`.
 *
 * @category predicates
 * @since 0.1.0
 */
export const within = (scope: Reach, reach: Reach): boolean => distances[scope] <= distances[reach]
const distances: Record<Reach, number> = { device: 0, local: 1, public: 2 }
