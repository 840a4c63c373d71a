import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { Refusal } from '../../shared/refusal.ts'
import { openProcess, sendSignal } from '../process/syscalls.ts'
import type { Caller } from '../run/request.ts'
import { inform } from '../say.ts'
import { requireInstance } from './enter.ts'
import { findInstance, holdName, type InstanceRecord, isRunning, runningInstances } from './record.ts'
import { tidy } from './tidy.ts'

export interface Stop {
  signal: number
  /** After so long it is killed. */
  timeoutSeconds: number
}

const lookEveryMs = 10

const hasEnded = async (record: InstanceRecord, withinMs: number): Promise<boolean> => {
  const deadline = performance.now() + withinMs
  while (isRunning(record)) {
    if (performance.now() > deadline) return false
    await sleep(lookEveryMs)
  }
  return true
}

/** What is dirty goes to disk before the last process has ended. */
const killMs = 60_000

const stopOne = async (record: InstanceRecord, { signal, timeoutSeconds }: Stop): Promise<void> => {
  const { name, pid } = record
  inform(`Stopping ${name} instance of ${record.image} (PID=${pid})`)
  try {
    const process = openProcess(pid)
    try {
      if (!isRunning(record)) return
      sendSignal(process, signal)
      if (await hasEnded(record, timeoutSeconds * 1000)) return
      sendSignal(process, constants.signals.SIGKILL)
    } finally {
      closeSync(process)
    }
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
  if (!(await hasEnded(record, killMs)))
    throw new Refusal(`instance ${name} has not ended ${killMs / 1000} s after SIGKILL`)
}

const isForgotten = ({ name }: InstanceRecord, { layout }: Caller): boolean => {
  try {
    holdName(layout, name).giveUp()
    return true
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    // Somebody has started another already.
    return findInstance(layout, name) !== undefined
  }
}

/** An ordinary user's has its name until its file systems have been written back. Its output stays, until another of the name is started. */
const forget = async (record: InstanceRecord, caller: Caller): Promise<void> => {
  const deadline = performance.now() + killMs
  while (!isForgotten(record, caller)) {
    if (performance.now() > deadline)
      throw new Refusal(`instance ${record.name} has ended, and its overlays are still being written`)
    await sleep(lookEveryMs)
  }
}

const failed = (outcome: PromiseSettledResult<void>): unknown[] =>
  outcome.status === 'rejected' ? [outcome.reason] : []

/** Stops them all, and waits until their overlays are free; one that cannot be stopped keeps none of the others. @throws Refusal */
export const stopInstances = async (names: readonly string[] | 'all', stop: Stop, caller: Caller): Promise<void> => {
  const wanted = names === 'all' ? runningInstances(caller.layout).map(({ name }) => name) : [...new Set(names)]
  const stopNamed = async (name: string): Promise<void> => {
    // Of all, one may have ended by itself meanwhile.
    const record = names === 'all' ? findInstance(caller.layout, name) : requireInstance(name, caller)
    if (!record) return
    await stopOne(record, stop)
    await forget(record, caller)
  }
  const failures = (await Promise.allSettled(wanted.map(stopNamed))).flatMap(failed)
  tidy(caller.layout, new Date())
  const unexpected = failures.find((failure) => !(failure instanceof Refusal))
  if (unexpected !== undefined) throw unexpected
  const told = failures.flatMap((failure) => (failure instanceof Refusal ? [failure.message] : []))
  if (told.length > 0) throw new Refusal(told.join('\n'))
}
