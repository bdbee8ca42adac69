/** What the system's errors mean for a dial and for a listener. */
import { NameNotFound, Refused, type TransportReason, Unreachable } from "../DialError.ts"
import { AddressInUse, AddressNotAvailable, type BindReason, NotListenable, PermissionDenied } from "../ListenError.ts"

/** The system's code of an error. Of several addresses' errors, a refusal says the most. */
export const codeOf = (error: NodeJS.ErrnoException): string => {
  if (error instanceof AggregateError) {
    const codes = error.errors.map((each: NodeJS.ErrnoException) => each.code ?? "")
    return codes.find((code) => code === "ECONNREFUSED") ?? codes[0] ?? "UNKNOWN"
  }
  return error.code ?? "UNKNOWN"
}

export const dialReason = (error: NodeJS.ErrnoException, host: string): TransportReason => {
  const code = codeOf(error)
  switch (code) {
    case "ECONNREFUSED":
      return new Refused({ cause: error })
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_FAIL":
    case "EAI_NODATA":
      return new NameNotFound({ host, code, cause: error })
    default:
      return new Unreachable({ code, cause: error })
  }
}

export const bindReason = (error: NodeJS.ErrnoException): BindReason => {
  const code = codeOf(error)
  switch (code) {
    case "EADDRINUSE":
      return new AddressInUse({ cause: error })
    case "EACCES":
    case "EPERM":
      return new PermissionDenied({ code, cause: error })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new AddressNotAvailable({ code, cause: error })
    default:
      return new NotListenable({ detail: code, cause: error })
  }
}
