import { closeSync, fchmodSync, fstatSync, ftruncateSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConversionError, NoSpaceError } from './errors.ts'
import { type Layer, readArchive, readContents } from './layers.ts'
import { type Emission, isAsRead, type Plan, planFlattening } from './merge/plan.ts'
import { createSpeculation } from './merge/speculation.ts'
import type { IndexedEntry } from './merge/tree.ts'
import { cleanPath } from './names.ts'
import { freeBytes, isFull } from './space.ts'
import { createSquashfs, SquashfsToolError, type SquashfsWriter } from './squashfs.ts'
import { type ByteReader, createByteReader, TruncatedError } from './tar/bytes.ts'
import { encodeEntry } from './tar/encode.ts'
import type { EntryHeader, TarEntry } from './tar/entry.ts'
import { paddedSize, TarError } from './tar/header.ts'
import { readTar } from './tar/reader.ts'
import { giveToTools, takeFromTools } from './unprivileged.ts'

export interface FlattenOptions {
  signal: AbortSignal
  onProgress(line: string): void
}

/** The squashfs under way. */
interface Output {
  fd: number
  /** For messages: where it lies. */
  dir: string
}

type Visit = (entry: TarEntry, source: ByteReader) => Promise<void>

/** Reads a layer to its end, which checks its digest. @throws ConversionError */
const walk = async (layer: Layer, signal: AbortSignal, visit: Visit): Promise<void> => {
  const source = createByteReader(readArchive(layer, signal))
  let current: string | undefined
  try {
    for await (const entry of readTar(source)) {
      current = entry.header.name
      await visit(entry, source)
    }
    await source.drain()
  } catch (error) {
    if (!(error instanceof TarError || error instanceof TruncatedError)) throw error
    const entry = error instanceof TarError ? error.entry : current
    throw new ConversionError(error.message, { layer: layer.number, entry }, { cause: error })
  }
}

const amended = (header: EntryHeader, { path, linkTo, metadata }: Emission): EntryHeader => ({
  ...header,
  ...metadata,
  name: path,
  ...(linkTo === undefined ? {} : { link: linkTo }),
})

/** Passes an entry on: its own bytes where nothing of it changes. */
const emit = async (
  writer: SquashfsWriter,
  { read, source, entry, emission }: { read: TarEntry; source: ByteReader; entry: IndexedEntry; emission: Emission },
): Promise<void> => {
  if (read.original && isAsRead(entry, emission)) for (const block of read.original) await writer.write(block)
  else await writer.write(encodeEntry(amended(read.header, emission), read))
  for await (const piece of source.pieces(paddedSize(read.bodySize))) await writer.write(piece)
}

const rootHeader: EntryHeader = {
  ...{ type: 'directory', name: './', link: '', major: 0, minor: 0 },
  ...{ mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: new Map() },
}

/** The root belongs to the engine, not to the image: containerd passes over its entries too. */
const openWriter = async (fd: number): Promise<SquashfsWriter> => {
  const writer = createSquashfs(fd)
  await writer.write(encodeEntry(rootHeader))
  return writer
}

const asRead = (entry: IndexedEntry): Emission => ({
  path: entry.path,
  metadata: entry.header,
  ...(entry.header.type === 'hardlink' ? { linkTo: cleanPath(entry.header.link) } : {}),
})

const cameTrue = (plan: Plan, shown: ReadonlySet<IndexedEntry>): boolean =>
  plan.size === shown.size &&
  [...plan].every(
    ([entry, emissions]) =>
      shown.has(entry) && emissions.length === 1 && emissions.every((emission) => isAsRead(entry, emission)),
  )

interface FirstPass {
  /** By layer, the lowest first. */
  index: readonly (readonly IndexedEntry[])[]
  shown: ReadonlySet<IndexedEntry>
  /** The tool could not make anything of the guesses. */
  failure: SquashfsToolError | undefined
}

/** Reads every header and checks every digest, and meanwhile passes on what is likely to be right. */
const passGuessing = async (
  layers: readonly Layer[],
  writer: SquashfsWriter,
  { signal, onProgress }: FlattenOptions,
): Promise<FirstPass> => {
  const speculation = createSpeculation()
  const index: IndexedEntry[][] = layers.map(() => [])
  const shown = new Set<IndexedEntry>()
  let failure: SquashfsToolError | undefined
  for (const [count, layer] of layers.toReversed().entries()) {
    onProgress(`flattening layer ${count + 1} of ${layers.length}`)
    const entries: IndexedEntry[] = []
    await walk(layer, signal, async (read, source) => {
      const entry = { layer: layer.number - 1, header: read.header, path: cleanPath(read.header.name) }
      entries.push(entry)
      if (!speculation.shows(entry) || failure) return
      shown.add(entry)
      try {
        await emit(writer, { read, source, entry, emission: asRead(entry) })
      } catch (error) {
        if (!(error instanceof SquashfsToolError)) throw error
        failure = error
      }
    })
    speculation.endLayer()
    index[layer.number - 1] = entries
  }
  return { index, shown, failure }
}

const passPlanned = async (
  layers: readonly Layer[],
  writer: SquashfsWriter,
  { plan, index }: { plan: Plan; index: FirstPass['index'] },
  { signal, onProgress }: FlattenOptions,
): Promise<void> => {
  for (const [count, layer] of layers.toReversed().entries()) {
    onProgress(`flattening layer ${count + 1} of ${layers.length} by plan`)
    const entries = index[layer.number - 1]?.values()
    await walk(layer, signal, async (read, source) => {
      const entry = entries?.next().value
      if (!entry) return
      for (const emission of plan.get(entry) ?? []) await emit(writer, { read, source, entry, emission })
    })
  }
}

const tellLosses = (index: FirstPass['index'], { onProgress }: FlattenOptions): void => {
  const hasList = ({ header }: IndexedEntry) => [...header.xattrs.keys()].some((name) => name.startsWith('system.'))
  const count = index.flat().filter(hasList).length
  if (count > 0) onProgress(`${count} entries have access control lists, which squashfs cannot keep: their mode counts`)
}

const withWriter = async <T>(fd: number, act: (writer: SquashfsWriter) => Promise<T>): Promise<T> => {
  const writer = await openWriter(fd)
  try {
    return await act(writer)
  } finally {
    await writer.abort()
  }
}

const flattenInto = async (output: Output, layers: readonly Layer[], options: FlattenOptions): Promise<void> => {
  const replay = await withWriter(output.fd, async (writer) => {
    const { index, shown, failure } = await passGuessing(layers, writer, options)
    tellLosses(index, options)
    const plan = planFlattening(index)
    const isRight = cameTrue(plan, shown)
    if (failure && (isRight || isFull(output.fd, output.dir))) throw failure
    if (!isRight) return { plan, index }
    await writer.finish()
    return undefined
  })
  if (!replay) return
  await withWriter(output.fd, async (writer) => {
    await passPlanned(layers, writer, replay, options)
    await writer.finish()
  })
}

/** The tool says "I/O error" when the disk is full; of the image itself it tells what is wrong. */
const explain = (error: unknown, { fd, dir }: Output, layers: readonly Layer[]): (() => unknown) => {
  if (!(error instanceof SquashfsToolError)) return () => error
  if (!isFull(fd, dir)) {
    return () => (error.complaint === undefined ? error : new ConversionError(error.message, {}, { cause: error }))
  }
  const compressed = layers.reduce((sum, { file }) => sum + statSync(file).size, 0)
  const needed = Math.max(compressed, fstatSync(fd).size)
  // To be told when the file is empty, and its room free.
  return () => new NoSpaceError({ path: dir, needed, free: freeBytes(dir) }, { cause: error })
}

/** Of what the file holds, and of the image. */
interface Flattened {
  sizeBytes: number
  /** The image configuration's `User`. */
  user: string
}

/**
 * Makes one squashfs of the layers of an image directory (`dir:` of
 * containers-transports(5)): what containerd would show of them with overlayfs,
 * whiteouts and all. The file is our own, and not synced.
 *
 * @param output an empty file, open for writing, which is empty again when this fails
 * @throws ConversionError, NoSpaceError
 */
export const flattenOnto = async (output: Output, image: string, options: FlattenOptions): Promise<Flattened> => {
  const { layers, user } = await readContents(image)
  try {
    giveToTools(output.fd)
    await flattenInto(output, layers, options)
    takeFromTools(output.fd)
    return { sizeBytes: fstatSync(output.fd).size, user }
  } catch (error) {
    const explained = explain(error, output, layers)
    ftruncateSync(output.fd)
    options.signal.throwIfAborted()
    throw explained()
  }
}

/**
 * The same into a new file, which is read-only then.
 *
 * @param target file to write; must not exist, and does not when this fails
 * @throws ConversionError, NoSpaceError
 */
export const flattenDirectory = async (image: string, target: string, options: FlattenOptions): Promise<Flattened> => {
  const output = { fd: openSync(target, 'wx', 0o600), dir: dirname(target) }
  try {
    const flattened = await flattenOnto(output, image, options)
    fchmodSync(output.fd, 0o400)
    return flattened
  } catch (error) {
    rmSync(target)
    throw error
  } finally {
    closeSync(output.fd)
  }
}
