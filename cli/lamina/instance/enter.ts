import { closeSync } from 'node:fs'
import { Refusal } from '../../shared/refusal.ts'
import { runBeside } from '../process/beside.ts'
import { enterNamespaces, openNamespaces } from '../process/namespaces.ts'
import { type Ended, endAs } from '../process/supervise.ts'
import { openRoot } from '../run/make-root.ts'
import { commandIn } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { findInstance, type InstanceRecord } from './record.ts'

/** @throws Refusal when there is none of the name that runs */
export const requireInstance = (name: string, { layout }: Pick<Caller, 'layout'>): InstanceRecord => {
  const found = findInstance(layout, name)
  if (found) return found
  throw new Refusal(`no instance found with name ${name}: lamina instance list shows those that run`)
}

/** @throws Refusal for what only a new container could have */
const assertNothingNew = ({ overlays, binds, ownProcesses, contain }: RunRequest): void => {
  if (overlays.length > 0 || binds.length > 0 || ownProcesses || contain)
    throw new Refusal('an instance has its overlays, binds and namespaces since its start: give none of these options')
}

/** Runs the command among the instance's processes, in whose namespaces this process has all rights. @throws Refusal */
export const runAmong = async (record: InstanceRecord, request: RunRequest, caller: Caller): Promise<Ended> => {
  const { pid, image, name } = record
  const root = openRoot(`/proc/${pid}/root`)
  const namespaces = openNamespaces(pid)
  // The number may have become another's meanwhile.
  requireInstance(name, caller)
  const command = commandIn(root, { ...request, image }, caller)
  closeSync(root)
  if (command === undefined) throw new Refusal('there is nothing to be run')
  enterNamespaces(namespaces)
  return runBeside(command, caller.inherited)
}

/** Runs the command among the instance's processes, and ends with it. @throws Refusal */
export const runInInstance = async (name: string, request: RunRequest, caller: Caller): Promise<void> => {
  assertNothingNew(request)
  const record = requireInstance(name, caller)
  if (caller.isUser) {
    const { goToInstance, runHere } = await import('../user/enter-instance.ts')
    return caller.located === undefined ? goToInstance(record, caller) : endAs(await runHere(record, request, caller))
  }
  endAs(await runAmong(record, request, caller))
}
