import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { currentBootID } from '../../../runtime-shim/node/boot.ts'
import { Refusal } from '../../shared/refusal.ts'
import { rootTarget } from '../layout.ts'
import { type Init, startInit, startUserInit } from '../process/init.ts'
import { inMountsOf } from '../process/namespaces.ts'
import { becomeRoot } from '../process/syscalls.ts'
import type { FoundOverlay } from '../root/overlays.ts'
import type { Command } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { type HeldName, logFile } from './record.ts'

export interface Beginning {
  name: string
  request: RunRequest
  overlays: readonly FoundOverlay[]
  /** Without a startscript there is only the init, for others to enter. */
  command: Command | undefined
  /** Whether this process stays beside it, and it ends with us. */
  isKept: boolean
}

/** Its output goes to the files of the name. @throws Refusal */
const startFirst = async ({ name, command, isKept }: Beginning, { layout }: Caller): Promise<Init> => {
  const output = [
    openSync(logFile(layout, name, 'out'), 'w', 0o600),
    openSync(logFile(layout, name, 'err'), 'w', 0o600),
  ] as const
  try {
    const how = { root: rootTarget(layout), output }
    const isHimself = process.getuid?.() !== 0
    const init = await (isHimself ? startUserInit(command, how) : startInit(command, { ...how, isTied: isKept }))
    if (init) return init
    const said = readFileSync(logFile(layout, name, 'err'), 'utf8').trim()
    throw new Refusal(`instance ${name} has not started: ${said || 'its first process has ended'}`)
  } finally {
    for (const fd of output) closeSync(fd)
  }
}

/**
 * Starts an instance's first process in the root that has been made, and writes down that it runs: until then it ends
 * with us.
 *
 * @throws Refusal
 */
export const beginInstance = async (beginning: Beginning, held: HeldName, caller: Caller): Promise<ChildProcess> => {
  const { name, request, overlays, isKept } = beginning
  const { layout } = caller
  const { child, pid, startTicks, release } = await startFirst(beginning, caller)
  inMountsOf(pid, () => becomeRoot(rootTarget(layout)))
  held.write({
    name,
    pid,
    startTicks,
    bootID: currentBootID(),
    ...(isKept ? { gate: child.pid } : {}),
    startTime: new Date().toISOString(),
    image: request.image,
    overlays: overlays.map(({ path }) => path),
    stdout: logFile(layout, name, 'out'),
    stderr: logFile(layout, name, 'err'),
  })
  release()
  return child
}
