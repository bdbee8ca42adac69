/** Lists from which any item is taken in constant time. Such a list has no order. */

/** An item knows its place in the list. */
export interface Listed {
  at: number
}

export const put = <A extends Listed>(list: Array<A>, item: A): void => {
  item.at = list.length
  list.push(item)
}

/** The last item moves to the place of the one that is taken. */
export const drop = <A extends Listed>(list: Array<A>, item: A): void => {
  const last = list.pop()
  if (last === undefined || last === item) return
  last.at = item.at
  list[item.at] = last
}
