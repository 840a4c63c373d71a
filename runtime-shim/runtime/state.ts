import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { z } from 'zod/mini'
import { flock, hasCode, lockKind } from '../mount/syscalls.ts'
import { sleepSync } from '../mount/wait.ts'
import { type NodeLayout, podPaths } from '../node/layout.ts'
import { type Refusal, refusalSchema, type Ticket, ticketSchema } from '../node/ticket.ts'

/** Written beside and renamed: a reader sees all or nothing. */
export const writeJson = (path: string, value: unknown): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, JSON.stringify(value))
  renameSync(`${path}.new`, path)
}

export const readJson = <T extends z.ZodMiniType>(path: string, schema: T): z.output<T> | undefined => {
  try {
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Where records of a container lie by its id alone, which is all that `delete` and `exec` are told. */
export const containerPaths = ({ stateDir }: Pick<NodeLayout, 'stateDir'>, containerID: string) => ({
  /** Symlink to the mount record. */
  mount: join(stateDir, 'containers', containerID, 'mount.json'),
  /** The user that we resolved; also the launcher's sign that `exec` must come here. */
  user: join(stateDir, 'containers', containerID, 'user.json'),
  dir: join(stateDir, 'containers', containerID),
})

export interface HeldTicket {
  ticket: Ticket
  /** Gives the ticket back: to be called once the images' own locks are held. */
  release(): void
}

/** Nobody gave this pod leave to mount. */
export class NoTicketError extends Error {
  override name = 'NoTicketError'
}

/** The shared lock keeps the agent from revoking while we mount; a link count of zero says that it did before. */
const holdTicket = (path: string): HeldTicket | undefined => {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
  flock(fd, lockKind.shared, { wait: true })
  if (fstatSync(fd).nlink === 0) {
    closeSync(fd)
    return undefined
  }
  const ticket = ticketSchema.parse(JSON.parse(readFileSync(fd, 'utf8')))
  return { ticket, release: () => closeSync(fd) }
}

const refusalText = (refusal: Refusal | undefined, waitedMs: number): string =>
  refusal
    ? `${refusal.reason}: ${refusal.message}`
    : `no leave to mount came from the node agent within ${Math.round(waitedMs / 1000)} s: is it running on this node? (only pods made by the Lamina controller for an Instance get one)`

/**
 * Waits for the agent's ticket, within the two minutes that the kubelet gives a
 * request. A refusal that no retry can mend ends the wait early.
 *
 * @throws NoTicketError with the agent's last word
 */
export const awaitTicket = (
  layout: NodeLayout,
  podUID: string,
  times: { waitMs: number; finalMs: number },
): HeldTicket => {
  const paths = podPaths(layout, podUID)
  const started = performance.now()
  for (;;) {
    const held = holdTicket(paths.ticket)
    if (held) return held
    const refusal = readJson(paths.refusal, refusalSchema)
    const waited = performance.now() - started
    if (waited > (refusal?.final ? times.finalMs : times.waitMs)) throw new NoTicketError(refusalText(refusal, waited))
    sleepSync(waited < 1_000 ? 2 : 50)
  }
}

/** The pod whose container that was: the mount record lies in the pod's directory. */
export const podOfRecord = (layout: NodeLayout, containerID: string): string | undefined => {
  try {
    return basename(dirname(dirname(readlinkSync(containerPaths(layout, containerID).mount))))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}
