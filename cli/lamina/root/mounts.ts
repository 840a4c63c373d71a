import { closeSync, constants, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { hasCode } from '../../../runtime-shim/mount/error-code.ts'
import { descriptorPath } from '../../../runtime-shim/mount/open.ts'
import { mount, mountFlags, O_PATH, openat2, resolve } from '../../../runtime-shim/mount/syscalls.ts'
import { Refusal } from '../../shared/refusal.ts'
import { makeReadOnly } from '../process/syscalls.ts'
import { warn } from '../say.ts'
import type { PlannedMount } from './mount-plan.ts'

/** Makes the planned mounts in a root, whose own links lead nowhere outside of it. */

const openInRoot = (root: number, path: string): number =>
  openat2(root, path, O_PATH, resolve.inRoot | resolve.noMagiclinks)

/** Runs `act` with a path that leads to that place in the root, as a process in there would find it. */
const inRoot = <T>(root: number, path: string, act: (path: string) => T): T => {
  const fd = openInRoot(root, path)
  try {
    return act(descriptorPath(fd))
  } finally {
    closeSync(fd)
  }
}

/** A symbolic link that leads nowhere in the root leads somewhere on the host: nothing is made by way of it. */
const makeNew = (place: string, isDirectory: boolean): void => {
  try {
    if (isDirectory) mkdirSync(place, 0o755)
    else writeFileSync(place, '', { mode: 0o644, flag: 'wx' })
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    throw new Error('it is a symbolic link that leads nowhere', { cause: error })
  }
}

/** A layer of the overlay may have taken away what the lowest one has: then it gets it back. */
const makePlace = (root: number, path: string, isDirectory: boolean): void => {
  try {
    closeSync(openInRoot(root, path))
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    if (dirname(path) !== '/') makePlace(root, dirname(path), true)
    inRoot(root, dirname(path), (parent) => makeNew(join(parent, basename(path)), isDirectory))
  }
}

const bind = (source: string, at: string): void => mount(source, at, null, mountFlags.bind | mountFlags.recursive, null)

const deviceFiles = ['full', 'null', 'random', 'tty', 'urandom', 'zero']
const deviceLinks = [
  ['/proc/self/fd', 'fd'],
  ['/proc/self/fd/0', 'stdin'],
  ['/proc/self/fd/1', 'stdout'],
  ['/proc/self/fd/2', 'stderr'],
  ['pts/ptmx', 'ptmx'],
] as const

/** What every program may count on, and none of the host's disks. */
const mountDevices = (at: string): void => {
  mount('lamina', at, 'tmpfs', mountFlags.nosuid, 'mode=0755,size=64k')
}

const fillDevices = (at: string): void => {
  for (const name of deviceFiles) {
    writeFileSync(join(at, name), '')
    mount(`/dev/${name}`, join(at, name), null, mountFlags.bind, null)
  }
  for (const [to, name] of deviceLinks) symlinkSync(to, join(at, name))
  for (const name of ['pts', 'shm']) mkdirSync(join(at, name))
  mount('devpts', join(at, 'pts'), 'devpts', mountFlags.nosuid, 'newinstance,ptmxmode=0666,mode=0620')
  mount('shm', join(at, 'shm'), 'tmpfs', mountFlags.nosuid | mountFlags.nodev, 'mode=1777')
}

const temporaryMode = (path: string): string => (path === '/tmp' || path === '/var/tmp' ? '1777' : '0755')

const make = (root: number, planned: PlannedMount): void => {
  const { destination } = planned
  makePlace(root, destination, planned.kind !== 'bind' || planned.isDirectory)
  switch (planned.kind) {
    case 'bind':
      inRoot(root, destination, (at) => bind(planned.source, at))
      // Found again, the name leads to what is mounted there.
      if (planned.readOnly) inRoot(root, destination, makeReadOnly)
      return
    case 'memory':
      inRoot(root, destination, (at) =>
        mount('lamina', at, 'tmpfs', mountFlags.nosuid | mountFlags.nodev, `mode=${temporaryMode(destination)}`),
      )
      return
    case 'devices':
      inRoot(root, destination, mountDevices)
      inRoot(root, destination, fillDevices)
      return
    case 'place':
      // What is mounted there is so by its path from outside of the root, where a link leads elsewhere.
      closeSync(openat2(root, destination, O_PATH | constants.O_DIRECTORY, resolve.inRoot | resolve.noSymlinks))
  }
}

/**
 * @param root open, at the root in which they are made
 * @throws Refusal for one that was asked for; the usual ones may be left out
 */
export const makeMounts = (root: number, mounts: readonly PlannedMount[]): void => {
  for (const planned of mounts) {
    try {
      make(root, planned)
    } catch (error) {
      const { destination } = planned
      const why = `${destination} of the container cannot be mounted upon (${error instanceof Error ? error.message : error})`
      if (planned.kind === 'place')
        throw new Refusal(
          `${why}: own process namespaces and instances need a directory there: leave --pid and --containall out, or mend the image`,
        )
      if (planned.kind === 'bind' && planned.asked) throw new Refusal(`--bind ${planned.source}:${destination}: ${why}`)
      warn(`${why}: it is left as the image has it`)
    }
  }
}
