import { RefusedError } from './refused.ts'

/** What of the kernel the runtime cannot do without. */

export interface KernelFacts {
  /** `uname -r` */
  release: string
  /** /proc/filesystems */
  fileSystems: string
  /** /proc/devices */
  devices: string
}

const needed = { squashfs: 'SQUASHFS', ext4: 'EXT4_FS', overlay: 'OVERLAY_FS', loop: 'BLK_DEV_LOOP' } as const
type Module = keyof typeof needed

/** LOOP_CONFIGURE came with 5.8, close_range(2) with 5.9, overlayfs' `volatile` with 5.10. */
const oldest = { major: 5, minor: 10 }

const isThere = (module: Module, { fileSystems, devices }: KernelFacts): boolean =>
  module === 'loop' ? /^\s*\d+ loop$/m.test(devices) : new RegExp(`^(nodev)?\\t${module}$`, 'm').test(fileSystems)

/** Modules that are neither built in nor loaded. */
export const missingModules = (facts: KernelFacts): Module[] =>
  (['squashfs', 'ext4', 'overlay', 'loop'] as const).filter((module) => !isThere(module, facts))

/** @throws RefusedError naming all that the kernel lacks */
export const assertKernel = (facts: KernelFacts): void => {
  const { release } = facts
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10))
  if (major < oldest.major || (major === oldest.major && minor < oldest.minor))
    throw new RefusedError(`Linux ${release} is too old: ${oldest.major}.${oldest.minor} or newer is needed`)
  const missing = missingModules(facts)
  if (missing.length === 0) return
  const options = missing.map((module) => `CONFIG_${needed[module]}`).join(', ')
  throw new RefusedError(
    `the kernel (Linux ${release}) lacks ${missing.join(', ')}, and cannot load them: let the node load the modules, or have a kernel with ${options}`,
  )
}
