import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { attachBlockDevice, type BlockDevice, editExt3, makeVolume } from '../../../../test/node/images.ts'
import { benchFolder } from '../../../../test/node/run-folder.ts'
import { readSuperblock, type Superblock } from '../../../mount/superblock.ts'
import { makeSkeleton } from '../../../runtime/skeleton.ts'
import type { Preparation } from '../preparation.ts'

/** Where the preparation of overlays is tried: a folder of its own, with the real tools and the real kernel. */
export interface Workplace {
  dir: string
  /** Directory of the volume. */
  directory: string
  /** The image in it. */
  image: string
  lines: string[]
  /** A preparation for a writer's new overlay, with what the test asks otherwise. */
  preparation(changes?: Partial<Preparation>): Preparation
  /** Has another image in the volume, with a file in its `upper`; the options are those of mkfs.ext3. */
  volumeWith(mebibytes: number, ...options: string[]): void
  /** What is in that file. */
  kept(): string
  close(): void
}

export const createWorkplace = (): Workplace => {
  const dir = benchFolder('prepare')
  const directory = join(dir, 'volume')
  mkdirSync(directory)
  const lines: string[] = []
  const image = join(directory, 'overlay.img')
  const skeleton = join(dir, 'skeleton.squashfs')
  return {
    ...{ dir, directory, image, lines },
    preparation: (changes) => {
      if (changes?.format === 'Directory') makeSkeleton(skeleton)
      return {
        overlay: 'work',
        uid: 'uid-work',
        volume: { kind: 'directory', path: directory },
        format: 'Image',
        path: 'overlay.img',
        size: 16 * 2 ** 20,
        ext3: {},
        access: 'ReadWrite',
        existing: false,
        made: false,
        wasDamaged: false,
        lockDir: join(dir, 'locks'),
        skeleton,
        worker: join(import.meta.dirname, '../worker/main.ts'),
        onProgress: (line) => lines.push(line),
        lockWaitMs: 100,
        stillAfterMs: 0,
        ...changes,
      }
    },
    volumeWith: (mebibytes, ...options) => {
      rmSync(directory, { recursive: true })
      makeVolume(directory, mebibytes, ...options)
      editExt3(image, 'mkdir upper', 'write /etc/hostname upper/kept')
    },
    kept: () => editExt3(image, 'cat upper/kept'),
    close: () => rmSync(dir, { recursive: true }),
  }
}

export const superblockOf = (path: string): Superblock => {
  const fd = openSync(path, 'r')
  try {
    return readSuperblock(fd)
  } finally {
    closeSync(fd)
  }
}

export interface BlockVolume extends BlockDevice {
  /** Makes it larger. */
  grow(mebibytes: number): void
}

/** A block volume over a file of its own. */
export const makeBlockVolume = (file: string, mebibytes: number): BlockVolume => {
  execFileSync('truncate', ['-s', `${mebibytes}M`, file])
  const device = attachBlockDevice(file)
  return {
    ...device,
    grow: (larger) => {
      execFileSync('truncate', ['-s', `${larger}M`, file])
      execFileSync('losetup', ['--set-capacity', device.mapPath])
    },
  }
}
