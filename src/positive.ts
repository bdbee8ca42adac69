/**
 * Checks settings that have to be more than 0, such as a number of bytes. `NaN` would be no bound at all, because
 * nothing is more than that. Throws a `RangeError` that names the first one that is wrong.
 */
export const positive = <Settings extends Readonly<Record<string, number>>>(settings: Settings): Settings => {
  for (const name in settings) {
    const value = settings[name] as number
    if (!(value > 0)) throw new RangeError(`${name} can't be ${value}`)
  }
  return settings
}
