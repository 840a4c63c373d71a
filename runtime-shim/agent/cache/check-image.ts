import { closeSync, openSync, readSync } from 'node:fs'
import { ConversionError, FileError } from '../../image/errors.ts'
import { BadImageError } from '../../mount/bad-image.ts'
import { openBase } from '../../mount/base.ts'
import { type OpenBase, OverlayError } from '../../mount/parts.ts'
import { NotExt3Error } from '../../mount/superblock.ts'
import { runTool, ToolError } from '../overlay/tools.ts'

/** What people name by mistake, by its first bytes. */
const otherFiles: readonly { what: string; magic: string; at?: number }[] = [
  { what: 'a gzip-compressed file', magic: '\x1f\x8b' },
  { what: 'a zstd-compressed file', magic: '\x28\xb5\x2f\xfd' },
  { what: 'an xz-compressed file', magic: '\xfd7zXZ\0' },
  { what: 'a zip archive', magic: 'PK\x03\x04' },
  { what: 'a tar archive', magic: 'ustar', at: 257 },
  { what: 'a program', magic: '\x7fELF' },
  { what: 'a disk image of QEMU (qcow2)', magic: 'QFI\xfb' },
]
const longestStart = 512

/** Servers give a page where there should be a file. */
const isPage = (text: string): boolean => /^\s*<(!doctype|html|\?xml)/i.test(text)

const otherFile = (path: string): string => {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(longestStart)
    const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, longestStart, 0))
    const found = isPage(text) ? 'a web page' : otherFiles.find(({ magic, at = 0 }) => text.startsWith(magic, at))?.what
    return found === undefined ? '' : `; it looks like ${found}`
  } finally {
    closeSync(fd)
  }
}

/** The message is about "it". */
const open = (path: string, digest: string): OpenBase => {
  try {
    // Whether it may be mounted in a namespace is asked there.
    return openBase({ kind: 'file', path }, { allowExt3: true })
  } catch (error) {
    const cause = error instanceof OverlayError ? error.cause : error
    if (!(cause instanceof BadImageError || cause instanceof NotExt3Error)) throw error
    const problem = `what came as ${digest} is no image that can be mounted: ${cause.message}${otherFile(path)}`
    throw new ConversionError(problem, {}, { cause })
  }
}

/** Of e2fsck(8)'s exit codes: it found errors. */
const uncorrected = 4
/** It was ended by a signal that it heeds, and by another one. */
const canceled = 32
const killed = 255

/** Whether e2fsck has said something of the bytes; other exit codes say that it could not do its work. */
export const isVerdict = (exitCode: number): boolean =>
  exitCode !== killed && (exitCode & canceled) === 0 && (exitCode & uncorrected) !== 0

/** The kernel trusts what an ext3 file system says of itself; squashfs' tables it checks itself. */
const checkExt3 = async ({ fd, content, embedded }: OpenBase, digest: string): Promise<void> => {
  for (const layer of [content, embedded]) {
    if (layer?.kind !== 'ext3') continue
    try {
      await runTool({ fd }, { tool: 'e2fsck', options: ['-f', '-n'], offset: layer.extent.offset })
    } catch (error) {
      if (!(error instanceof ToolError)) throw error
      if (!isVerdict(error.exitCode)) {
        const problem = `the ext3 file system in ${digest} could not be checked (${error.message}); it is tried again`
        throw new FileError('Other', problem, { cause: error })
      }
      throw new ConversionError(
        `the ext3 file system in ${digest} has errors (${error.message}): run e2fsck on it and publish it anew`,
        {},
        { cause: error },
      )
    }
  }
}

/**
 * Whether a file that was fetched can be mounted as the base of a root.
 *
 * @param digest for messages: others who name it learn nothing of where it came from
 * @throws ConversionError telling what it is instead, or what is wrong with it
 * @throws FileError when that could not be found out
 */
export const checkImage = async (path: string, digest: string): Promise<void> => {
  const base = open(path, digest)
  try {
    await checkExt3(base, digest)
  } finally {
    closeSync(base.fd)
  }
}
