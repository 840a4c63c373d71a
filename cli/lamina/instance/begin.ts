import { closeSync, openSync, readFileSync } from 'node:fs'
import { currentBootID } from '../../../runtime-shim/node/boot.ts'
import { Refusal } from '../../shared/refusal.ts'
import { type Init, startInit, startUserInit } from '../process/init.ts'
import type { FoundOverlay } from '../root/overlays.ts'
import type { Command } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { type InstanceRecord, logFile } from './record.ts'

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
const startFirst = ({ name, command, isKept }: Beginning, caller: Caller): Init => {
  const [out, err] = (['out', 'err'] as const).map((kind) => openSync(logFile(caller.layout, name, kind), 'w', 0o600))
  try {
    const env = command?.env ?? { PATH: caller.env.PATH ?? '' }
    const how = { env, stdio: ['ignore' as const, out, err] }
    const isHimself = process.getuid?.() !== 0
    const init = isHimself
      ? startUserInit(command, how, caller)
      : startInit(command, { ...how, isTied: isKept }, caller)
    if (init) return init
    const said = readFileSync(logFile(caller.layout, name, 'err'), 'utf8').trim()
    throw new Refusal(`instance ${name} has not started: ${said || 'its first process has ended'}`)
  } finally {
    for (const fd of [out, err]) if (fd !== undefined) closeSync(fd)
  }
}

/** Starts an instance's first process, in the root that has been made. @throws Refusal */
export const beginInstance = (beginning: Beginning, caller: Caller): { init: Init; record: InstanceRecord } => {
  const { name, request, overlays, isKept } = beginning
  const init = startFirst(beginning, caller)
  const record = {
    name,
    pid: init.pid,
    startTicks: init.startTicks,
    bootID: currentBootID(),
    ...(isKept ? { gate: init.child.pid } : {}),
    startTime: new Date().toISOString(),
    image: request.image,
    overlays: overlays.map(({ path }) => path),
    stdout: logFile(caller.layout, name, 'out'),
    stderr: logFile(caller.layout, name, 'err'),
  }
  return { init, record }
}
