/** What the page shows, and what its user wants. All text from outside goes through `textContent`. */
import { Context, Effect, Layer, Queue, Result, Stream } from "effect"
import { Address } from "effect-multiserver/browser"
import type { Words } from "./words.ts"

/** Where a conversation is. */
export type Status =
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Handshake" }
  | { readonly _tag: "Connected"; readonly key: string }
  | { readonly _tag: "Waiting"; readonly why: Words; readonly detail: string }
  | { readonly _tag: "Failed"; readonly why: Words; readonly detail: string }
  | { readonly _tag: "Ended" }

/** How far a file is. */
export interface Progress {
  readonly way: "sending" | "receiving"
  readonly name: string
  readonly done: number
  readonly size: number
}

export type Who = "you" | "peer" | "page"

export class View extends Context.Service<
  View,
  {
    readonly ownKey: (key: string) => Effect.Effect<void>
    readonly status: (status: Status) => Effect.Effect<void>
    readonly say: (who: Who, text: string) => Effect.Effect<void>
    readonly progress: (progress: Progress) => Effect.Effect<void>
    /** Offers a file that has arrived. */
    readonly offer: (name: string, bytes: Uint8Array<ArrayBuffer>) => Effect.Effect<void>
    /** The addresses to connect with: of the form, and of the link. */
    readonly addresses: Stream.Stream<string>
    readonly texts: Stream.Stream<string>
    readonly files: Stream.Stream<File>
    /** Forgets the texts and files that wait to be sent. */
    readonly forget: Effect.Effect<void>
    /** Succeeds when the user disconnects. */
    readonly leaving: Effect.Effect<void>
  }
>()("chat/View") {}

const steps: ReadonlyArray<Status["_tag"]> = ["Connecting", "Handshake", "Connected"]

/** What is read out for a status. */
const spoken = (status: Status): string => {
  switch (status._tag) {
    case "Idle":
      return "Not connected."
    case "Connecting":
      return "Connecting: waiting for the bridge."
    case "Handshake":
      return "Handshake: both sides prove their keys."
    case "Connected":
      return `Connected to ${status.key}.`
    case "Waiting":
      return "Not connected. Trying again."
    case "Failed":
      return "Not connected."
    case "Ended":
      return "The conversation is over."
  }
}

const element = <E extends HTMLElement>(id: string, kind: new () => E): E => {
  const found = document.getElementById(id)
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`)
  return found
}

/** How many lines and files are kept. The other side decides how many come. */
const maxLines = 1000
const maxKept = 8

/** Whether the address leads to the server of this page, and nowhere else. */
const leadsHere = (text: string): boolean =>
  Result.match(Address.parse(text), {
    onFailure: () => false,
    onSuccess: (all) =>
      all.every(({ transport }) => {
        const url = String(new Address.Address({ transport, transforms: [] }))
        return URL.canParse(url) && new URL(url).host === location.host
      })
  })

const make = Effect.gen(function* () {
  const own = element("own-key", HTMLElement)
  const copy = element("copy-key", HTMLButtonElement)
  const connect = element("connect", HTMLFormElement)
  const address = element("address", HTMLInputElement)
  const start = element("start", HTMLButtonElement)
  const leave = element("leave", HTMLButtonElement)
  const copied = element("copied", HTMLElement)
  const state = element("state", HTMLElement)
  const trouble = element("trouble", HTMLElement)
  const details = element("details", HTMLDetailsElement)
  const log = element("log", HTMLElement)
  const talk = element("talk", HTMLFieldSetElement)
  const sayForm = element("say", HTMLFormElement)
  const text = element("text", HTMLInputElement)
  const fileForm = element("send-file", HTMLFormElement)
  const file = element("file", HTMLInputElement)

  const addresses = yield* Queue.unbounded<string>()
  const kept: Array<HTMLAnchorElement> = []
  const texts = yield* Queue.unbounded<string>()
  const files = yield* Queue.unbounded<File>()

  const onSubmit = (form: HTMLFormElement, submitted: () => void): void =>
    form.addEventListener("submit", (event) => {
      event.preventDefault()
      submitted()
    })

  onSubmit(connect, () => Queue.offerUnsafe(addresses, address.value.trim()))
  onSubmit(sayForm, () => {
    if (text.value.trim() === "") return
    Queue.offerUnsafe(texts, text.value)
    text.value = ""
  })
  onSubmit(fileForm, () => {
    const [chosen] = file.files ?? []
    // Without a file, the browser itself asks for one.
    if (chosen === undefined) return
    Queue.offerUnsafe(files, chosen)
    file.value = ""
  })
  copy.addEventListener("click", () => {
    // Where the clipboard is forbidden, the key is selected, so that it can be copied by hand.
    getSelection()?.selectAllChildren(own)
    const say = (text: string) => () => {
      copied.textContent = text
    }
    const selected = say("Your key is selected: copy it by hand.")
    if (navigator.clipboard === undefined) return selected()
    navigator.clipboard.writeText(own.textContent ?? "").then(say("Your key is copied."), selected)
  })

  /**
   * The address of the link: what stands behind its #. Any web page can open such a link, and who is dialed learns the
   * key of this page. So only this page's own server is dialed at once, and for another one the user has to connect.
   */
  const followLink = (): void => {
    const linked = location.hash.slice(1)
    if (linked === "") return
    address.value = linked
    if (leadsHere(linked)) Queue.offerUnsafe(addresses, linked)
  }
  addEventListener("hashchange", followLink)
  followLink()

  /** What had the focus in the conversation when that was disabled. */
  let interrupted: HTMLElement | undefined

  const show = (status: Status): void => {
    const at = steps.indexOf(status._tag)
    const { activeElement } = document
    for (const [i, step] of steps.entries()) {
      const item = element(`step-${step.toLowerCase()}`, HTMLElement)
      item.dataset.state = i < at || status._tag === "Connected" ? "done" : i === at ? "now" : "later"
      if (i === at) item.setAttribute("aria-current", "step")
      else item.removeAttribute("aria-current")
    }
    document.body.dataset.status = status._tag.toLowerCase()
    state.textContent = spoken(status)

    const hasTrouble = status._tag === "Waiting" || status._tag === "Failed"
    // An error stays while it is tried again, until a try succeeds.
    if (hasTrouble) {
      element("trouble-what", HTMLElement).textContent = status.why.what
      element("trouble-todo", HTMLElement).textContent = status.why.todo
      element("trouble-detail", HTMLElement).textContent = status.detail
    }
    const stays = document.body.dataset.retrying === "yes" && at >= 0 && status._tag !== "Connected"
    trouble.hidden = !hasTrouble && !stays
    details.hidden = trouble.hidden
    if (status._tag === "Waiting") document.body.dataset.retrying = "yes"
    else if (!stays) document.body.dataset.retrying = "no"

    const isBusy = at >= 0 || status._tag === "Waiting"
    const hadFocus = activeElement === start || activeElement === leave
    if (activeElement instanceof HTMLElement && talk.contains(activeElement)) interrupted = activeElement
    start.hidden = isBusy
    leave.hidden = !isBusy
    leave.textContent = status._tag === "Connected" ? "Disconnect" : "Stop"
    address.readOnly = isBusy
    talk.disabled = status._tag !== "Connected"
    // A button that is gone has no focus to pass on.
    if (hadFocus)
      (status._tag === "Connected" ? text : isBusy ? leave : status._tag === "Failed" ? address : start).focus()
    // Who writes while the connection breaks goes on where they were, if they have gone nowhere else meanwhile.
    else if (interrupted !== undefined && (activeElement === document.body || activeElement === interrupted)) {
      if (status._tag === "Connected") interrupted.focus()
      else if (!isBusy) (status._tag === "Failed" ? address : start).focus()
    }
    if (!isBusy || status._tag === "Connected") interrupted = undefined
    // No file outlasts its connection.
    for (const way of ["sending", "receiving"]) element(way, HTMLElement).hidden = true
  }

  const add = (item: HTMLElement): void => {
    log.append(item)
    if (log.childElementCount > maxLines) log.firstElementChild?.remove()
    log.scrollTop = log.scrollHeight
  }
  const names: Readonly<Record<Who, string>> = { you: "You", peer: "Other side", page: "" }
  const line = (who: Who): HTMLElement => {
    const item = document.createElement("p")
    item.dataset.who = who
    if (names[who] !== "") {
      const name = document.createElement("strong")
      name.textContent = names[who]
      item.append(name)
    }
    return item
  }

  return View.of({
    ownKey: (key) =>
      Effect.sync(() => {
        own.textContent = key
        copy.disabled = false
      }),
    status: (status) => Effect.sync(() => show(status)),
    say: (who, said) =>
      Effect.sync(() => {
        const item = line(who)
        const words = document.createElement("span")
        words.textContent = said
        item.append(words)
        add(item)
      }),
    progress: ({ done, name, size, way }) =>
      Effect.sync(() => {
        const bar = element(`${way}-bar`, HTMLProgressElement)
        element(way, HTMLElement).hidden = false
        element(`${way}-label`, HTMLElement).textContent =
          `${way === "sending" ? "Sending" : "Receiving"} ${name}: ${size === 0 ? 100 : Math.floor((100 * done) / size)} %`
        bar.max = Math.max(size, 1)
        bar.value = size === 0 ? 1 : done
      }),
    offer: (name, bytes) =>
      Effect.sync(() => {
        const item = line("peer")
        const link = document.createElement("a")
        // Its type says that it is only to be saved: what it contains is the other side's.
        link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }))
        link.download = name
        link.textContent = `Save ${name}`
        item.append(link)
        add(item)
        kept.push(link)
        const oldest = kept.length > maxKept ? kept.shift() : undefined
        if (oldest === undefined) return
        URL.revokeObjectURL(oldest.href)
        oldest.replaceWith(`${oldest.download} is not kept any more.`)
      }),
    addresses: Stream.fromQueue(addresses),
    texts: Stream.fromQueue(texts),
    files: Stream.fromQueue(files),
    forget: Effect.andThen(Queue.clear(texts), Queue.clear(files)),
    leaving: Effect.callback((resume) => {
      const left = () => resume(Effect.void)
      leave.addEventListener("click", left)
      return Effect.sync(() => leave.removeEventListener("click", left))
    })
  })
})

export const layer: Layer.Layer<View> = Layer.effect(View, make)
