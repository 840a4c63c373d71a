import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { CLONE_NEWNS, mount, mountFlags, unshare } from '../../../runtime-shim/mount/syscalls.ts'
import { measure } from './measure.ts'
import type { Run } from './results.ts'
import { makeSources } from './sources.ts'
import { attach, detach, type Ground } from './stack.ts'
import { setNamed, type VariantSet } from './variants.ts'
import { workloads } from './workloads.ts'

/** In a mount namespace of its own: however this process ends, its mounts and loop devices go with it. */
const leaveNamespace = (): void => {
  unshare(CLONE_NEWNS)
  mount('none', '/', null, mountFlags.recursive | mountFlags.slave, null)
}

const makeBase = async (dir: string): Promise<string> => {
  const [tree, file, at] = [join(dir, 'base-tree'), join(dir, 'base.squashfs'), join(dir, 'base')]
  for (const path of [tree, at, join(tree, 'usr')]) mkdirSync(path, { recursive: true })
  await execa('gensquashfs', ['--pack-dir', tree, '--quiet', file])
  await execa('mount', ['-t', 'squashfs', '-o', 'loop,ro', file, at])
  return at
}

/** How the file system underneath is made; `here` is the one that the directory lies on. */
const mkfs = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f', '-m', 'reflink=1'],
  here: [],
} as const

export type Backing = keyof typeof mkfs
export const backings = Object.keys(mkfs)

/**
 * The file system underneath. But for `here` it is one of its own on a file that is wholly written, through a loop device
 * that bypasses the page cache, as near to a disk as can be: then a sync of it waits for nobody else's data.
 */
const mountVolume = async (
  dir: string,
  backing: Backing,
  mebibytes: number,
): Promise<Pick<Ground, 'volume' | 'disk'>> => {
  const volume = join(dir, 'volume')
  mkdirSync(volume)
  const [program, ...args] = mkfs[backing]
  if (program === undefined) return { volume, disk: undefined }
  const file = join(dir, 'disk')
  await execa('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', `count=${mebibytes}`, 'conv=fsync'])
  const disk = await attach(file, { io: 'direct', sectorSize: 512, queue: {} })
  try {
    await execa(program, [...args, disk])
    await execa('mount', ['-o', 'nodiscard', disk, volume])
  } finally {
    await detach(disk)
  }
  return { volume, disk }
}

const imageMebibytes = 1024
/** For the host directory's own files, and what the file system keeps for itself. */
const restMebibytes = 2048

const chooseWorkloads = ({ commands }: VariantSet, only: readonly string[] | undefined) =>
  workloads
    .filter(({ name }) => commands || !/^(git|npm) /.test(name))
    .filter(({ name }) => only?.some((part) => name.includes(part)) ?? true)

export interface FilesystemOptions {
  set: string
  backing: Backing
  rounds: number
  /** Parts of workloads' names; undefined: all of the set. */
  only?: readonly string[] | undefined
  /** Where the files lie: a few GiB. */
  directory: string
}

/** Measures the variants of a set against the host directory; whatever it made is gone afterwards. */
export const benchFilesystem = async (
  { set, backing, rounds, only, directory }: FilesystemOptions,
  report: (line: string) => void,
): Promise<Run> => {
  const variantSet = setNamed(set)
  const { variants } = variantSet
  leaveNamespace()
  const dir = mkdtempSync(join(directory, 'lamina-bench-'))
  try {
    const mebibytes = restMebibytes + variants.length * imageMebibytes * 1.05
    const ground = {
      ...(await mountVolume(dir, backing, Math.ceil(mebibytes))),
      disks: dir,
      base: await makeBase(dir),
      imageBytes: imageMebibytes * 2 ** 20,
    }
    const sources = await makeSources(dir)
    const plan = { variants, workloads: chooseWorkloads(variantSet, only), rounds, ground, sources, report }
    return { set, backing, rounds, kernel: release(), results: await measure(plan) }
  } finally {
    for (const name of ['base', 'volume']) await execa('umount', ['--recursive', join(dir, name)], { reject: false })
    rmSync(dir, { recursive: true })
  }
}
