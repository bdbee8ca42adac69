/** Words for a shell to read. */

/** The text as one word: in quotes, where it has characters that a shell would obey. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
