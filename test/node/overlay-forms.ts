import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  attachBlockDevice,
  type BlockDevice,
  makeDirectoryOverlay,
  makeExt3,
  makeSif,
  makeSquashfs,
  makeVolume,
  smallBase,
} from './images.ts'
import type { OverlaySpec, RootBench } from './roots.ts'

export interface MadeOverlay {
  spec: OverlaySpec
  /** Acts on the overlay's top directory, by a mount of the test's own where one is needed. */
  edit(act: (top: string) => void): void
}

/** Overlays of each form that can be written; the names are those of their volumes. */
export interface OverlayForms {
  image(name?: string): MadeOverlay
  /** Its partition begins at no boundary of anything. */
  sif(name?: string): MadeOverlay
  block(): MadeOverlay
  directory(name?: string): MadeOverlay
  /** A block device over the file, until the bench ends. */
  attach(file: string): BlockDevice
  /** All block devices so far. */
  devices: BlockDevice[]
}

/** For tests of each form. */
export const formNames: [string, keyof Pick<OverlayForms, 'image' | 'sif' | 'block' | 'directory'>][] = [
  ['an ext3 image', 'image'],
  ['the overlay partition of a SIF', 'sif'],
  ['a block volume', 'block'],
  ['format Directory', 'directory'],
]

export const onDevice = ({ mapPath, major, minor }: BlockDevice): OverlaySpec => ({
  volume: { kind: 'device', mapPath, major, minor },
})

export const createOverlayForms = (bench: RootBench): OverlayForms => {
  const path = (name: string): string => join(bench.dir, name)
  const devices: BlockDevice[] = []

  const editMounted =
    (...what: string[]): MadeOverlay['edit'] =>
    (act) => {
      const at = bench.folder('edit')
      execFileSync('mount', ['-t', 'ext4', ...what, at])
      try {
        act(at)
      } finally {
        execFileSync('umount', [at])
      }
    }
  const attach = (file: string): BlockDevice => {
    const device = attachBlockDevice(file)
    bench.defer(device.detach)
    devices.push(device)
    return device
  }

  return {
    devices,
    attach,
    image: (name = 'volume') => {
      const volume = makeVolume(path(name))
      return { spec: volume, edit: editMounted('-o', 'loop', join(volume, 'overlay.img')) }
    },
    sif: (name = 'volume') => {
      const root = readFileSync(makeSquashfs(path('content'), smallBase))
      const overlay = readFileSync(makeExt3(path(`${name}.ext3`), 16))
      const file = makeSif(join(bench.folder(name), 'image.sif'), [
        { content: root, fileSystem: 1, role: 2 },
        { content: overlay, fileSystem: 2, role: 4, gap: 3 },
      ])
      const offset = statSync(file).size - overlay.length
      return {
        spec: { volume: path(name), path: 'image.sif' },
        edit: editMounted('-o', `loop,offset=${offset}`, file),
      }
    },
    block: () => {
      const device = attach(makeExt3(path(`device-${devices.length}`), 16))
      return { spec: onDevice(device), edit: editMounted(device.mapPath) }
    },
    directory: (name = 'volume') => {
      const volume = makeDirectoryOverlay(path(name), path('skeleton.squashfs'))
      return { spec: { volume, path: '.', format: 'Directory' }, edit: (act) => act(volume) }
    },
  }
}
