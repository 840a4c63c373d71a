import { execFileSync } from 'node:child_process'
import { closeSync, copyFileSync, ftruncateSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Images for tests that run on the real kernel. */

/** gensquashfs(1) pack lines, one entry each; files take their content from the host. */
export const makeSquashfs = (path: string, entries: readonly string[], compressor = 'gzip'): string => {
  const packFile = `${path}.entries`
  writeFileSync(packFile, `${entries.join('\n')}\n`)
  execFileSync('gensquashfs', ['--pack-file', packFile, '--compressor', compressor, '--force', '--quiet', path])
  return path
}

/** The squashfs of a directory of the host, with its attributes and device files. */
export const packSquashfs = (path: string, dir: string): string => {
  const options = ['--keep-xattr', '--compressor', 'gzip', '--force', '--quiet']
  execFileSync('gensquashfs', ['--pack-dir', dir, ...options, path])
  return path
}

/** Entries of a small base; programs are the host's, since the tests look at roots from outside. */
export const smallBase = [
  'dir / 0755 0 0',
  'dir /etc 0755 0 0',
  'file /etc/passwd 0644 0 0 /etc/passwd',
  'file /etc/group 0644 0 0 /etc/group',
  'dir /opt 0755 0 0',
]

/** A sparse ext3 image, as `mkfs.ext3` makes it. */
export const makeExt3 = (path: string, mebibytes = 16, ...options: string[]): string => {
  const fd = openSync(path, 'wx', 0o600)
  ftruncateSync(fd, mebibytes * 2 ** 20)
  closeSync(fd)
  execFileSync('mkfs.ext3', ['-F', '-q', ...options, path])
  return path
}

/** A volume's directory with an overlay image in it. */
export const makeVolume = (dir: string, mebibytes?: number, ...options: string[]): string => {
  mkdirSync(dir, { recursive: true })
  makeExt3(join(dir, 'overlay.img'), mebibytes, ...options)
  return dir
}

/** Changes a file system image without mounting it (debugfs(8)); what it says goes to stderr even when all is well. */
export const editExt3 = (image: string, ...commands: string[]): string =>
  commands
    .map((command) => execFileSync('debugfs', ['-w', '-R', command, image], { stdio: 'pipe' }).toString())
    .join('')

export interface SifPart {
  content: Buffer
  /** As numbered in the format: 1 squashfs, 2 ext3, 5 encrypted squashfs. */
  fileSystem: number
  /** 2 primary system partition, 4 overlay. */
  role: number
  /** `02` amd64, `04` arm64; default: this machine's. */
  architecture?: string
  /** Bytes from the end of what comes before to the partition. */
  gap?: number
}

const sifDescriptorSize = 585

const sifDescriptor = (part: SifPart, offset: number): Buffer => {
  const bytes = Buffer.alloc(sifDescriptorSize)
  bytes.writeInt32LE(0x4004, 0)
  bytes.writeUInt8(1, 4)
  bytes.writeBigInt64LE(BigInt(offset), 17)
  bytes.writeBigInt64LE(BigInt(part.content.length), 25)
  bytes.writeInt32LE(part.fileSystem, 201)
  bytes.writeInt32LE(part.role, 205)
  bytes.write(part.architecture ?? (process.arch === 'arm64' ? '04' : '02'), 209)
  return bytes
}

/** A SIF as Apptainer lays it out, but for alignment, which `gap` makes as odd as one likes. */
export const makeSif = (path: string, parts: readonly SifPart[]): string => {
  const [headerSize, tableOffset] = [128, 4096]
  const tableSize = parts.length * sifDescriptorSize
  const header = Buffer.alloc(headerSize)
  header.write('#!/usr/bin/env run-singularity\n\0SIF_MAGIC\x0001\x0002\0', 'latin1')
  header.writeBigInt64LE(BigInt(parts.length), 88)
  header.writeBigInt64LE(BigInt(tableOffset), 96)
  header.writeBigInt64LE(BigInt(tableSize), 104)
  const chunks: Buffer[] = [header, Buffer.alloc(tableOffset - headerSize)]
  let end = tableOffset + tableSize
  const placed = parts.map((part) => {
    const offset = end + (part.gap ?? 0)
    end = offset + part.content.length
    return { part, offset }
  })
  chunks.push(...placed.map(({ part, offset }) => sifDescriptor(part, offset)))
  for (const { part } of placed) chunks.push(Buffer.alloc(part.gap ?? 0), part.content)
  writeFileSync(path, Buffer.concat(chunks))
  return path
}

/** The directory of an overlay of format Directory; `skeleton` becomes its lock's file. */
export const makeDirectoryOverlay = (dir: string, skeleton: string): string => {
  mkdirSync(dir, { recursive: true })
  copyFileSync(skeleton, join(dir, 'lock.squashfs'))
  return dir
}

export interface BlockDevice {
  kind: 'device'
  mapPath: string
  major: number
  minor: number
  detach(): void
}

/** A block device, as a storage driver hands one out: a loop device over the file. */
export const attachBlockDevice = (file: string): BlockDevice => {
  const mapPath = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim()
  const [major = 0, minor = 0] = execFileSync('stat', ['--format', '%Hr %Lr', mapPath], { encoding: 'utf8' })
    .split(' ')
    .map(Number)
  return { kind: 'device', mapPath, major, minor, detach: () => execFileSync('losetup', ['--detach', mapPath]) }
}
