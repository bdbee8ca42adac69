/** Who has something that goes when a stack has been left. An object, because a function for each would cost more. */
export interface Tenant {
  readonly leave: () => void
}

/** Two of them as one. */
export const both = (first: Tenant, second: Tenant): Tenant => ({
  leave: () => {
    first.leave()
    second.leave()
  }
})
