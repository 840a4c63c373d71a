import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { hasCode } from '../mount/error-code.ts'
import { flock, lockKind } from '../mount/syscalls.ts'
import { sleepSync } from '../mount/wait.ts'
import { currentBootID } from '../node/boot.ts'
import { readJson } from '../node/json-file.ts'
import { type NodeLayout, podPaths } from '../node/layout.ts'
import { type Refusal, refusalSchema, type Ticket, ticketSchema } from '../node/ticket.ts'

export interface HeldTicket {
  ticket: Ticket
  /** Gives the ticket back: to be called once the mounts and their record exist. */
  release(): void
}

/** Nobody gave this pod leave to mount. */
class NoTicketError extends Error {
  override name = 'NoTicketError'
}

/**
 * The shared lock keeps the agent from revoking while we mount; a link count of
 * zero says that it did before. A ticket of another pod or another boot is none.
 */
const holdTicket = (path: string, podUID: string): HeldTicket | undefined => {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  flock(fd, lockKind.shared, { wait: true })
  const revoked = fstatSync(fd).nlink === 0
  const ticket = revoked ? undefined : ticketSchema.parse(JSON.parse(readFileSync(fd, 'utf8')))
  if (ticket?.bootID === currentBootID() && ticket.pod.uid === podUID) return { ticket, release: () => closeSync(fd) }
  closeSync(fd)
  return undefined
}

const refusalText = (refusal: Refusal | undefined, waitedMs: number): string =>
  refusal
    ? `${refusal.reason}: ${refusal.message}`
    : `no leave to mount came from the node agent within ${Math.round(waitedMs / 1000)} s: is it running on this node? (only pods made by the Lamina controller for an Instance get one)`

/**
 * Waits for the agent's ticket. A refusal that no retry can mend ends the wait early.
 *
 * @throws NoTicketError with the agent's last word
 */
export const awaitTicket = (
  layout: NodeLayout,
  podUID: string,
  { ticketMs, finalMs }: { ticketMs: number; finalMs: number },
): HeldTicket => {
  const paths = podPaths(layout, podUID)
  const started = performance.now()
  for (;;) {
    const held = holdTicket(paths.ticket, podUID)
    if (held) return held
    const refusal = readJson(paths.refusal, refusalSchema)
    const waited = performance.now() - started
    if (waited > (refusal?.final ? finalMs : ticketMs)) throw new NoTicketError(refusalText(refusal, waited))
    sleepSync(waited < 1_000 ? 2 : 50)
  }
}
