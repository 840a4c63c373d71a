import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { flock, lockKind } from '../../../runtime-shim/mount/syscalls.ts'
import { retrySync } from '../../../runtime-shim/mount/wait.ts'
import { currentBootID } from '../../../runtime-shim/node/boot.ts'
import { Refusal } from '../../shared/refusal.ts'
import { instancesDir, type Layout } from '../layout.ts'
import { startTicks } from '../process/stat.ts'

/** What is written down of an instance. That it runs is never written: its process is the proof. */
const recordSchema = z.object({
  name: z.string(),
  /** Of its init. A number is given again; with its start, in ticks of the clock since the boot, it means one process. */
  pid: z.number(),
  startTicks: z.string(),
  bootID: z.string(),
  /** An ordinary user's: the process in whose user namespace one has rights over the instance's others. */
  gate: z.optional(z.number()),
  startTime: z.string(),
  image: z.string(),
  overlays: z.array(z.string()),
  /** Files. */
  stdout: z.string(),
  stderr: z.string(),
})
export type InstanceRecord = z.infer<typeof recordSchema>

const namePattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,99}$/

/** @throws Refusal */
export const assertInstanceName = (name: string): void => {
  if (!namePattern.test(name))
    throw new Refusal(
      `"${name}" cannot be an instance's name: letters, digits, dots, - and _, at most 100, and no dot or - at first`,
    )
}

const fileOf = (layout: Layout, name: string): string => join(instancesDir(layout), `${name}.json`)

export const logFile = (layout: Layout, name: string, kind: 'out' | 'err'): string =>
  join(instancesDir(layout), `${name}.${kind}`)

const parse = (text: string): InstanceRecord | undefined => {
  try {
    return recordSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** Whether that very process is there. */
export const isRunning = ({ pid, startTicks: started, bootID }: InstanceRecord): boolean =>
  bootID === currentBootID() && startTicks(pid) === started

const readIfThere = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return ''
    throw error
  }
}

/** The instance of that name, if it runs. */
export const findInstance = (layout: Layout, name: string): InstanceRecord | undefined => {
  const record = parse(readIfThere(fileOf(layout, name)))
  return record && isRunning(record) ? record : undefined
}

const names = (layout: Layout): string[] => {
  try {
    return readdirSync(instancesDir(layout)).flatMap((file) =>
      file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : [],
    )
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

/** Takes away what is written down of those that have ended, as far as nobody has its name. Their output stays. */
export const forgetEnded = (layout: Layout): void => {
  for (const name of names(layout)) {
    if (findInstance(layout, name)) continue
    try {
      holdName(layout, name).giveUp()
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
    }
  }
}

/** All that run, by name. */
export const runningInstances = (layout: Layout): InstanceRecord[] =>
  names(layout)
    .toSorted()
    .flatMap((name) => findInstance(layout, name) ?? [])

/** The name's record, locked: as long as it is open nobody else starts or forgets an instance of the name. */
export interface HeldName {
  write(record: InstanceRecord): void
  /** There is no instance of it: the record goes. */
  giveUp(): void
}

const lockRecord = (path: string, name: string): number => {
  for (;;) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    try {
      // Whoever forgets one that has ended has it for a moment.
      const isHeld = (error: unknown): boolean => hasCode(error, 'EAGAIN')
      retrySync(() => flock(fd, lockKind.exclusive, { wait: false }), isHeld, { forMs: 100, everyMs: 5 })
    } catch (error) {
      closeSync(fd)
      if (hasCode(error, 'EAGAIN'))
        throw new Refusal(`instance ${name} is just being started, or stopped, by another process`)
      throw error
    }
    if (fstatSync(fd).nlink > 0) return fd
    closeSync(fd)
  }
}

/** @throws Refusal */
const assertNotRunning = (layout: Layout, name: string): void => {
  if (findInstance(layout, name))
    throw new Refusal(
      `instance ${name} already exists: stop it with lamina instance stop ${name}, or take another name`,
    )
}

/** Takes the name for a new instance. @throws Refusal when one of the name runs */
export const holdName = (layout: Layout, name: string): HeldName => {
  assertInstanceName(name)
  // A keeper has the lock as long as its instance runs.
  assertNotRunning(layout, name)
  mkdirSync(instancesDir(layout), { recursive: true, mode: 0o700 })
  const path = fileOf(layout, name)
  const fd = lockRecord(path, name)
  try {
    assertNotRunning(layout, name)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return {
    write: (record) => {
      ftruncateSync(fd)
      writeSync(fd, `${JSON.stringify(record)}\n`, 0)
    },
    giveUp: () => {
      unlinkSync(path)
      closeSync(fd)
    },
  }
}
