import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeVolume } from '../../../../test/node/images.ts'
import { attachedFiles } from '../../../mount/loop.ts'
import { writeJson } from '../../../node/json-file.ts'
import { containerPaths, defaultLayout, type NodeLayout, podPaths, rootPath } from '../../../node/layout.ts'
import type { Figures, MountRecord, ReleaseRecord } from '../../../node/ticket.ts'

export const figures: Figures = {
  needsRecovery: false,
  errorCount: 0,
  blockSize: 4096,
  blocks: 1000,
  freeBlocks: 400,
  inodes: 300,
  freeInodes: 100,
}

/** What pods leave behind on a node, in folders of their own. */
export interface Leavings {
  layout: NodeLayout
  /** A volume of the pod's, with an image in it. */
  volumeOf(podUID: string): string
  /** Makes a loop device, by losetup(8). */
  attach(path: string, ...options: string[]): { number: number; diskseq: string }
  recordMount(podUID: string, overlay: Partial<MountRecord['overlays'][number]> & { path: string }): void
  recordRelease(podUID: string, found?: Partial<ReleaseRecord['overlays'][number]>): void
  /** Ends all loop devices. */
  detach(): void
  clear(): void
}

export const createLeavings = (now: () => Date): Leavings => {
  const dir = mkdtempSync(join(tmpdir(), 'lamina-release-'))
  const layout = { ...defaultLayout, stateDir: join(dir, 'run'), kubeletDir: join(dir, 'kubelet') }
  const devices: string[] = []

  const volumeOf = (podUID: string): string =>
    makeVolume(join(layout.kubeletDir, 'pods', podUID, 'volumes', 'local', 'v'))

  const attach = (path: string, ...options: string[]): { number: number; diskseq: string } => {
    const device = execFileSync('losetup', ['--find', '--show', ...options, path], { encoding: 'utf8' }).trim()
    devices.push(device)
    const file = attachedFiles().find(({ number }) => device === `/dev/loop${number}`)
    if (!file) throw new Error(`${device} is not attached`)
    return { number: file.number, diskseq: file.diskseq }
  }

  const recordMount = (podUID: string, overlay: Partial<MountRecord['overlays'][number]> & { path: string }): void => {
    const paths = podPaths(layout, podUID)
    mkdirSync(paths.mounts, { recursive: true })
    mkdirSync(paths.releases, { recursive: true })
    const containerID = `c-${podUID}`
    const whole = { name: 'work', uid: 'uid-work', access: 'ReadWrite', dev: '0', ino: '0', loop: null, ...overlay }
    writeJson(join(paths.mounts, `${containerID}.json`), {
      containerID,
      createTime: now().toISOString(),
      overlays: [whole],
    })
    const container = containerPaths(layout, containerID)
    mkdirSync(container.dir, { recursive: true })
    mkdirSync(rootPath(layout, containerID), { recursive: true })
    symlinkSync(join(paths.mounts, `${containerID}.json`), container.mount)
  }

  const recordRelease = (podUID: string, found: Partial<ReleaseRecord['overlays'][number]> = {}): void => {
    const paths = podPaths(layout, podUID)
    mkdirSync(paths.releases, { recursive: true })
    writeJson(join(paths.releases, 'c.json'), {
      containerID: 'c',
      releaseTime: now().toISOString(),
      overlays: [{ name: 'work', uid: 'uid-work', released: true, figures, ...found }],
    })
  }

  const detach = (): void => {
    for (const device of devices.splice(0)) execFileSync('losetup', ['-d', device])
  }

  return {
    ...{ layout, volumeOf, attach, detach, recordMount, recordRelease },
    clear: () => {
      detach()
      rmSync(dir, { recursive: true })
    },
  }
}
