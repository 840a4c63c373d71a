import { once } from 'node:events'
import { appendFileSync, closeSync, openSync, writeSync } from 'node:fs'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { beginInstance } from '../instance/begin.ts'
import { type HeldName, holdName, logFile } from '../instance/record.ts'
import { passOn } from '../process/supervise.ts'
import { becomeCopy } from '../process/syscalls.ts'
import { openParts, plan } from '../run/make-root.ts'
import type { Caller, RunRequest } from '../run/request.ts'
import { furnish } from './furnish.ts'
import { makeUserRoot, type UserRoot } from './root.ts'
import { writeBack } from './write-back.ts'

/** The descriptor by which who has started a keeper hears that the instance runs. */
export const starterDescriptor = 3

/** @returns whether it is there to hear it; from now on nobody hears what is said */
const tellStarter = (): boolean => {
  const nowhere = openSync('/dev/null', 'r+')
  try {
    writeSync(starterDescriptor, '\n')
  } catch (error) {
    if (!hasCode(error, 'EPIPE')) throw error
    return false
  } finally {
    becomeCopy(nowhere, 2)
    closeSync(nowhere)
    closeSync(starterDescriptor)
  }
  return true
}

interface Kept {
  name: string
  request: RunRequest
  caller: Caller
  umask: number
}

/** An instance that nobody waits for is ended at once: it has not been promised to anybody. */
const toItsEnd = async (
  userRoot: UserRoot,
  parts: ReturnType<typeof openParts>,
  held: HeldName,
  { name, request, caller, umask }: Kept,
): Promise<void> => {
  const { root, command } = furnish(userRoot, request, caller)
  process.umask(umask)
  const beginning = { name, request, overlays: parts.found, command, isKept: true }
  const child = await beginInstance(beginning, held, caller)
  const ended = once(child, 'exit')
  passOn(() => child)
  if (!tellStarter()) child.kill('SIGKILL')
  // Where it was started is not its concern any more.
  process.chdir('/')
  await ended
  const loss = writeBack(root, parts.overlays)
  if (loss !== undefined) appendFileSync(logFile(caller.layout, name, 'err'), `WARNING: ${loss}\n`)
  closeSync(root)
}

/**
 * As an ordinary user, in the namespaces of an instance that is to be: makes its root, starts it, and stays
 * until it has ended, for the sake of the processes that serve its file systems. Until then it has the name.
 *
 * @throws Refusal when it does not start
 */
export const keepInstance = async (
  name: string,
  request: RunRequest,
  { caller, image }: { caller: Caller; image: string },
): Promise<void> => {
  const umask = process.umask(0o022)
  const held = holdName(caller.layout, name)
  try {
    const parts = openParts(image, request)
    const userRoot = await makeUserRoot(parts, plan(request, caller), caller)
    try {
      await toItsEnd(userRoot, parts, held, { name, request, caller, umask })
    } finally {
      await userRoot.end()
    }
  } finally {
    held.giveUp()
  }
}
