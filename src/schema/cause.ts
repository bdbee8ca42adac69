/** The optional `cause` of an error: the system's error, or what other code threw. */
import * as Schema from "effect/Schema"

export const cause = Schema.optionalKey(Schema.Defect())
