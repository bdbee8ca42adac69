/** The field of an error for what it comes from: an error of the system, or what somebody's code threw. */
import * as Schema from "effect/Schema"

export const cause = Schema.optionalKey(Schema.Defect())
