import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { unshare } from '../../../runtime-shim/mount/syscalls.ts'
import { sleepSync } from '../../../runtime-shim/mount/wait.ts'
import { currentBootID } from '../../../runtime-shim/node/boot.ts'
import { Refusal } from '../../shared/refusal.ts'
import { locateImage } from '../image/locate.ts'
import { initCommand } from '../process/init.ts'
import { CLONE_NEWPID } from '../process/syscalls.ts'
import { makeRoot, openParts, plan, takeOverForeign } from '../run/make-root.ts'
import { type Command, commandIn } from '../run/prepare.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { inform } from '../say.ts'
import { startTicks } from './processes.ts'
import { holdName, logFile } from './record.ts'

/** Without a startscript there is only the init, for others to enter. */
const initArguments = (command: Command | undefined): string[] =>
  command === undefined ? ['-P'] : ['--', command.program, ...command.args.slice(1)]

const spawnInit = (command: Command | undefined, name: string, caller: Caller): ChildProcess => {
  const directory = command?.directory ?? '/'
  const [program, args] = initCommand({ directory, args: initArguments(command) }, caller)
  const [out, err] = (['out', 'err'] as const).map((kind) => openSync(logFile(caller.layout, name, kind), 'w', 0o600))
  unshare(CLONE_NEWPID)
  const env = command?.env ?? { PATH: caller.env.PATH ?? '' }
  const child = spawn(program, args, { env, stdio: ['ignore', out, err], detached: true })
  for (const fd of [out, err]) if (fd !== undefined) closeSync(fd)
  child.unref()
  return child
}

/** It becomes the init when its root and its /proc are made. */
const isInit = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'unshare'
  } catch {
    return false
  }
}

const startMs = 10_000

/** Waits until the init is what runs. @returns its start, as the kernel counts */
const awaitInit = (pid: number, name: string, { layout }: Caller): string => {
  const deadline = performance.now() + startMs
  for (;;) {
    const started = startTicks(pid)
    if (started !== undefined && isInit(pid)) return started
    if (started === undefined || performance.now() > deadline) {
      const said = readFileSync(logFile(layout, name, 'err'), 'utf8').trim()
      throw new Refusal(`instance ${name} has not started: ${said || 'its first process has ended'}`)
    }
    sleepSync(1)
  }
}

/** Starts a process in the background, in its own root and process namespace. @throws Refusal */
export const startInstance = async (name: string, request: RunRequest, caller: Caller): Promise<void> => {
  if (caller.isUser)
    throw new Refusal('instances need root: an ordinary user can keep lamina shell or lamina exec open')
  const held = holdName(caller.layout, name)
  try {
    const mounts = plan(request, caller)
    const parts = openParts(await locateImage(request.image, caller), request)
    await takeOverForeign(parts, caller)
    const root = makeRoot(parts, mounts, caller)
    const { pid } = spawnInit(commandIn(root, request, caller), name, caller)
    if (pid === undefined) throw new Refusal('unshare(1) is not installed: install util-linux')
    held.write({
      name,
      pid,
      startTicks: awaitInit(pid, name, caller),
      bootID: currentBootID(),
      startTime: new Date().toISOString(),
      image: request.image,
      overlays: parts.found.map(({ path }) => path),
      stdout: logFile(caller.layout, name, 'out'),
      stderr: logFile(caller.layout, name, 'err'),
    })
  } catch (error) {
    held.giveUp()
    throw error
  }
  inform(`instance started successfully`)
}
