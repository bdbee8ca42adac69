/**
 * Holds something, such as the place of a dial, until a stack has been left. An object, because a function for each
 * connection would cost more.
 */
export interface Tenant {
  readonly leave: () => void
}

/** Two tenants as one. */
export const both = (first: Tenant, second: Tenant): Tenant => ({
  leave: () => {
    first.leave()
    second.leave()
  }
})
