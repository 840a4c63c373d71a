import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { flock, lockKind } from '../mount/syscalls.ts'
import { currentBootID } from '../node/boot.ts'
import { writeJson } from '../node/json-file.ts'
import { defaultLayout, type NodeLayout, podPaths } from '../node/layout.ts'
import { type TicketInput, ticketSchema } from '../node/ticket.ts'
import { awaitTicket } from './state.ts'

let layout: NodeLayout
const podUID = '5f0e0d2c-0000-4000-8000-000000000001'
const paths = () => podPaths(layout, podUID)
const waits = { ticketMs: 150, finalMs: 30 }

beforeEach(() => {
  layout = { ...defaultLayout, stateDir: mkdtempSync(join(tmpdir(), 'lamina-ticket-')) }
  mkdirSync(paths().dir, { recursive: true })
})
afterEach(() => rmSync(layout.stateDir, { recursive: true }))

const ticket: TicketInput = {
  version: 1,
  pod: { namespace: 'default', name: 'dev', uid: podUID },
  instance: { name: 'dev', uid: 'i' },
  bootID: currentBootID(),
  image: { reference: `r@sha256:${'a'.repeat(64)}`, digest: `sha256:${'a'.repeat(64)}` },
  overlays: [],
  ephemeral: null,
  user: '',
  podGroups: [],
  imageGroups: true,
  runAsNonRoot: false,
}

/** What the agent does to revoke: an exclusive lock, if nobody mounts just now. */
const tryExclusive = (): boolean => {
  const fd = openSync(paths().ticket, 'r')
  try {
    flock(fd, lockKind.exclusive, { wait: false })
    return true
  } catch {
    return false
  } finally {
    closeSync(fd)
  }
}

describe('a ticket', () => {
  test('cannot be revoked while it is held, and can after', () => {
    writeJson(paths().ticket, ticket)
    const held = awaitTicket(layout, podUID, waits)
    expect(held.ticket).toEqual(ticketSchema.parse(ticket))
    expect(tryExclusive()).toBe(false)
    held.release()
    expect(tryExclusive()).toBe(true)
  })

  test('of an earlier boot is none', () => {
    writeJson(paths().ticket, { ...ticket, bootID: 'before' })
    expect(() => awaitTicket(layout, podUID, waits)).toThrow(/no leave to mount came from the node agent/)
  })

  test('that another version of Lamina wrote is not guessed at', () => {
    writeJson(paths().ticket, { ...ticket, version: 2 })
    expect(() => awaitTicket(layout, podUID, waits)).toThrow(/version/)
  })

  test('that was unlinked after it was opened is none', () => {
    writeJson(paths().ticket, ticket)
    const fd = openSync(paths().ticket, 'r')
    try {
      flock(fd, lockKind.exclusive, { wait: false })
      unlinkSync(paths().ticket)
    } finally {
      closeSync(fd)
    }
    expect(() => awaitTicket(layout, podUID, waits)).toThrow(/no leave to mount/)
  })
})

describe('the wait for it', () => {
  const timed = (): { message: string; ms: number } => {
    const started = performance.now()
    try {
      awaitTicket(layout, podUID, waits)
    } catch (error) {
      return { message: String(error), ms: performance.now() - started }
    }
    throw new Error('there was a ticket')
  }

  test('ends early with a refusal that no retry can mend', () => {
    writeJson(paths().refusal, { reason: 'NotOurs', message: 'it has no owner', final: true })
    const { message, ms } = timed()
    expect(message).toBe('NoTicketError: NotOurs: it has no owner')
    expect(ms).toBeLessThan(waits.ticketMs)
  })

  test('goes on with one that may mend, and ends with its words', () => {
    writeJson(paths().refusal, { reason: 'ImageNoSpace', message: 'the disk is full', final: false })
    const { message, ms } = timed()
    expect(message).toBe('NoTicketError: ImageNoSpace: the disk is full')
    expect(ms).toBeGreaterThanOrEqual(waits.ticketMs)
  })

  test('ends without a word from the agent with a guess at why', () => {
    rmSync(paths().dir, { recursive: true })
    expect(timed().message).toMatch(/is it running on this node\?/)
  })
})

test('a half-written ticket is never seen: it is renamed into place', () => {
  writeFileSync(`${paths().ticket}.new`, '{"version": 1, "po')
  expect(() => awaitTicket(layout, podUID, waits)).toThrow(/no leave to mount/)
})
