import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { thirdDescriptor } from '../../../runtime-shim/image/unprivileged.ts'
import { Refusal } from '../../shared/refusal.ts'
import { findOnHost } from '../process/host-program.ts'
import { tied } from '../process/tied.ts'

/** A file system that a process of the user's own serves. */
export interface FuseMount {
  /** Ends the process; what is dirty is on disk, and the lock free, when this is fulfilled. */
  end(): Promise<void>
}

interface Served {
  tool: string
  packageName: string
  args: readonly string[]
  at: string
  /** How it is ended. One that only reads has nothing to write back, and is not asked: it would wait for its users. */
  ends: 'SIGTERM' | 'SIGKILL'
  /** The file, for which the tool finds {@link thirdDescriptor}: with it, it has the locks on that. */
  fd?: number
}

const startMs = 20_000

const awaitMount = async (
  child: ChildProcess,
  { tool, at }: Served,
  before: number,
  said: () => string,
): Promise<void> => {
  const deadline = performance.now() + startMs
  while (statSync(at).dev === before) {
    if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline)
      throw new Refusal(`${tool} does not mount it: ${said().trim() || 'it says nothing'}`)
    await sleep(1)
  }
}

const longestOutput = 4096

/** It ends with us, whatever ends us; what the terminal sends to all of the foreground is not for it. */
const serve = async (served: Served): Promise<FuseMount> => {
  const { tool, packageName, args, fd, ends } = served
  const [program, ...words] = tied('TERM', [findOnHost(tool, packageName), ...args])
  const stdio = ['ignore', 'ignore', 'pipe', ...(fd === undefined ? [] : [fd])] as const
  const before = statSync(served.at).dev
  const child = spawn(program, words, { stdio: [...stdio], detached: true })
  let output = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-longestOutput)
  })
  const ended = once(child, 'exit')
  // Of what cannot be started at all there is no end, but an error.
  if (child.pid === undefined) await ended
  await awaitMount(child, served, before, () => output)
  return {
    end: async () => {
      child.kill(ends)
      await ended
    },
  }
}

/** squashfs at an offset of the open file. @throws Refusal */
export const serveSquashfs = (fd: number, offset: number, at: string): Promise<FuseMount> =>
  serve({
    tool: 'squashfuse',
    packageName: 'squashfuse',
    at,
    fd,
    ends: 'SIGKILL',
    args: ['-f', '-o', `offset=${offset},allow_other`, thirdDescriptor, at],
  })

/** ext3 at an offset of the open file. Rights are those of the merged root, not of this layer. @throws Refusal */
export const serveExt3 = (fd: number, offset: number, at: string, access: 'read' | 'write'): Promise<FuseMount> =>
  serve({
    tool: 'fuse2fs',
    packageName: 'fuse2fs',
    at,
    fd,
    ends: access === 'read' ? 'SIGKILL' : 'SIGTERM',
    args: ['-f', '-o', `fakeroot,offset=${offset}${access === 'read' ? ',ro' : ''}`, thirdDescriptor, at],
  })

/** @param owner as whom all files are to be shown, there being no other id in the namespace; undefined: as they are */
export const serveOverlay = (
  { lowers, upper, work, owner }: { lowers: readonly string[]; upper: string; work: string; owner: number | undefined },
  at: string,
): Promise<FuseMount> => {
  const layers = `lowerdir=${lowers.join(':')},upperdir=${upper},workdir=${work}`
  const squash = owner === undefined ? '' : `,squash_to_uid=${owner},squash_to_gid=${owner}`
  // What lies below has no access control lists, and says so by an error that the kernel would pass on to all but the
  // files' owner (EOPNOTSUPP, fuse_get_acl): none are asked for.
  return serve({
    tool: 'fuse-overlayfs',
    packageName: 'fuse-overlayfs',
    at,
    ends: 'SIGTERM',
    args: ['-f', '-o', `${layers}${squash},noacl,allow_other`, at],
  })
}
