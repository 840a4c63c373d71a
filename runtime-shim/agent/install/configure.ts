import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stringify } from 'smol-toml'
import { hasBlock, withBlock, withoutBlock } from './block.ts'
import { crioDropIn, crioFile, defaultHandler, defaultRuntimeIn, knowsHandler, monitorPath, readCrio } from './crio.ts'
import { bareBases, type Edit, editsFor } from './edits.ts'
import { addsOnlyHandler, handlerName, ordinaryProgram, withoutHandler } from './handler-config.ts'
import type { Host } from './host.ts'
import type { HostFiles } from './host-files.ts'
import type { NodeRuntime } from './node-runtime.ts'
import { RefusedError } from './refused.ts'
import { type ContainerdConfig, criOf, parseContainerd } from './toml.ts'

/** The handler in the configuration of the node's container runtime. */
export interface Configured {
  /** The file that has it. */
  path: string
  changed: boolean
  /** Puts all files back as they were before. */
  undo(): void
}

export interface ConfigureOptions {
  host: Host
  runtime: NodeRuntime
  launcher: string
  /** Here go copies of files of others, as they were before they were changed. */
  backupDir: string
}

type Dump = (config: string) => Promise<ContainerdConfig>

const dumpOf =
  ({ host, runtime: { process } }: Pick<ConfigureOptions, 'host' | 'runtime'>): Dump =>
  async (config) => {
    // containerd 1 dumps no file that is not there, and runs without.
    const what = host.files.read(config) === undefined ? 'default' : 'dump'
    const text = await host.run(process.program, ['--config', config, 'config', what], process.path)
    return parseContainerd(text, `containerd's dump of ${config}`)
  }

/** The file without what is ours; undefined when nothing is left of it. */
const cleaned = (edit: Edit, text: string | undefined): string | undefined => {
  if (text === undefined || edit.as === 'file') return undefined
  const rest = withoutBlock(text)
  return hasBlock(text) && bareBases.has(rest) ? undefined : rest
}

const wanted = (edit: Edit, clean: string | undefined): string =>
  edit.as === 'file' ? edit.content : withBlock(clean ?? edit.basis, edit.content)

const put = (files: HostFiles, path: string, text: string | undefined): void => {
  if (text === undefined) files.remove(path)
  else if (files.read(path) !== text) files.write(path, text)
}

const backUp = (dir: string, path: string, text: string): void => {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  writeFileSync(join(dir, path.slice(1).replaceAll('/', '-')), text, { mode: 0o600 })
}

/** What containerd would make of a file of this text at this place. @throws RefusedError where it would not start with it */
const dumpBeside = async (files: HostFiles, path: string, text: string, dump: Dump): Promise<ContainerdConfig> => {
  const proof = `${path}.lamina-proof`
  files.write(proof, text, { mode: 0o600 })
  try {
    return await dump(proof)
  } finally {
    files.remove(proof)
  }
}

/** A distribution renders our text into a file at its restart: what that will be, containerd can tell before. */
const provenRendered = async (files: HostFiles, edit: Edit, rendered: string, dump: Dump, launcher: string) => {
  const text = withoutBlock(files.read(rendered) ?? '')
  const parsed = parseContainerd(text, rendered)
  const isMerged = criOf(parsed)?.containerd.runtimes[handlerName] !== undefined
  const base = isMerged ? stringify(withoutHandler(parsed)) : text
  const before = await dumpBeside(files, rendered, base, dump)
  return addsOnlyHandler(before, await dumpBeside(files, rendered, withBlock(base, edit.tables), dump), launcher)
}

/** Tries one way. Whatever containerd would not start with, or not read, is taken back at once. */
const attempt = async (options: ConfigureOptions, edit: Edit, others: readonly Edit[], dump: Dump) => {
  const { host, runtime, launcher, backupDir } = options
  const { files } = host
  const texts = new Map([edit, ...others].map(({ path }) => [path, files.read(path)]))
  const undo = (): void => {
    for (const [path, text] of texts) put(files, path, text)
  }
  const before = edit.renderedIn === undefined ? await dump(runtime.config) : undefined
  if (edit.renderedIn !== undefined && !(await provenRendered(files, edit, edit.renderedIn, dump, launcher)))
    return undefined
  const clean = cleaned(edit, texts.get(edit.path))
  // Without its main file no containerd starts: one that it cannot read is not there even for a moment, in which we may be killed.
  if (edit.path === runtime.config) await dumpBeside(files, edit.path, wanted(edit, clean), dump)
  if (edit.as === 'block' && clean !== undefined) backUp(backupDir, edit.path, clean)
  try {
    for (const other of others) put(files, other.path, cleaned(other, texts.get(other.path)))
    put(files, edit.path, wanted(edit, clean))
    if (before === undefined || addsOnlyHandler(before, await dump(runtime.config), launcher)) return undo
  } catch (error) {
    undo()
    throw error
  }
  undo()
  return undefined
}

const othersThan = (edit: Edit, all: readonly Edit[]): Edit[] => all.filter(({ path }) => path !== edit.path)

const isInPlace = (files: HostFiles, edit: Edit, all: readonly Edit[]): boolean => {
  const text = files.read(edit.path)
  const isOnlyOne = othersThan(edit, all).every((other) => {
    const theirs = files.read(other.path)
    return theirs === cleaned(other, theirs)
  })
  return isOnlyOne && text !== undefined && text === wanted(edit, cleaned(edit, text))
}

const containerdEdits = async ({ host, runtime, launcher }: ConfigureOptions, dump: Dump) => {
  const { files } = host
  const text = files.read(runtime.config)
  const clean = text === undefined ? undefined : withoutBlock(text)
  const main = clean === undefined || bareBases.has(clean) ? undefined : parseContainerd(clean, runtime.config)
  return { files, edits: editsFor({ runtime, view: files, main, dump: await dump(runtime.config), launcher }) }
}

const configureContainerd = async (options: ConfigureOptions): Promise<Configured> => {
  const dump = dumpOf(options)
  const { files, edits } = await containerdEdits(options, dump)
  const present = edits.find((edit) => isInPlace(files, edit, edits))
  if (present) return { path: present.path, changed: false, undo: () => {} }
  const problems: unknown[] = []
  for (const edit of edits) {
    const undo = await attempt(options, edit, othersThan(edit, edits), dump).catch((error: unknown) => {
      problems.push(error)
      return undefined
    })
    if (undo) return { path: edit.path, changed: true, undo }
  }
  const tried = edits.map(({ path }) => path).join(', ')
  throw new RefusedError(
    `containerd would not take the handler, or would lose other settings by it (tried in ${tried}): ` +
      `add it to ${options.runtime.config} yourself, or make that file plain TOML with a "version" and CRI's settings in one place` +
      problems.map((problem) => `; ${String(problem)}`).join(''),
    { cause: problems[0] },
  )
}

const crioDump = ({ host, runtime: { process, config } }: Pick<ConfigureOptions, 'host' | 'runtime'>, dir: string) =>
  host.run(process.program, ['--config', config, '--config-dir', dir, 'config'], process.path)

const ordinaryCrio = async (options: Pick<ConfigureOptions, 'host' | 'runtime'>, configDir: string) => {
  const name = defaultRuntimeIn(await crioDump(options, configDir))
  return { name, handler: defaultHandler(readCrio(options.host.files, options.runtime.config, configDir), name) }
}

/** What runs the node's ordinary pods, by name or path, and the PATH that it has. */
export const ordinaryRuntime = async (
  options: Pick<ConfigureOptions, 'host' | 'runtime'>,
): Promise<{ program: string; path: string }> => {
  const { config, configDir, process } = options.runtime
  if (configDir === undefined) {
    const dump = await dumpOf(options)(config)
    return { program: ordinaryProgram(dump) ?? 'runc', path: process.path }
  }
  const { name, handler } = await ordinaryCrio(options, configDir)
  return { program: handler?.runtime_path || name, path: monitorPath(handler) ?? process.path }
}

const configureCrio = async (options: ConfigureOptions, configDir: string): Promise<Configured> => {
  const { host, launcher } = options
  const { files } = host
  const path = join(configDir, crioFile)
  const before = files.read(path)
  const { handler } = await ordinaryCrio(options, configDir)
  const text = crioDropIn(handler, launcher)
  // CRI-O reads every file below its folder, whatever its name.
  const write = (content: string): void => files.write(path, content, { stage: 'above' })
  const undo = (): void => (before === undefined ? files.remove(path) : write(before))
  if (before === text) return { path, undo, changed: false }
  try {
    write(text)
    if (knowsHandler(await crioDump(options, configDir), launcher)) return { path, undo, changed: true }
  } catch (error) {
    undo()
    throw error
  }
  undo()
  throw new RefusedError(`CRI-O would not read ${path}: let it have the folder ${dirname(path)} as --config-dir`)
}

/**
 * Writes the handler into the configuration, unless it is there as it must be.
 * What the runtime would not start with is not left there.
 *
 * @throws RefusedError
 */
export const configure = (options: ConfigureOptions): Promise<Configured> =>
  options.runtime.configDir === undefined
    ? configureContainerd(options)
    : configureCrio(options, options.runtime.configDir)

/** Whether the runtime, started with its configuration as it is now, has the handler: also where a distribution has made it anew. */
export const hasHandler = async (options: Omit<ConfigureOptions, 'backupDir'>): Promise<boolean> => {
  const { runtime, launcher } = options
  if (runtime.configDir !== undefined) return knowsHandler(await crioDump(options, runtime.configDir), launcher)
  const dump = await dumpOf(options)(runtime.config)
  return criOf(dump)?.containerd.runtimes[handlerName]?.options.BinaryName === launcher
}

/**
 * Takes the handler out again; files of others are then as they were.
 *
 * @returns the files that had it
 */
export const unconfigure = async (options: ConfigureOptions): Promise<string[]> => {
  const { host, runtime } = options
  if (runtime.configDir !== undefined) {
    const path = join(runtime.configDir, crioFile)
    if (host.files.read(path) === undefined) return []
    host.files.remove(path)
    return [path]
  }
  const { files, edits } = await containerdEdits(options, dumpOf(options))
  return edits.flatMap((edit) => {
    const text = files.read(edit.path)
    const clean = cleaned(edit, text)
    if (text === clean) return []
    put(files, edit.path, clean)
    return [edit.path]
  })
}
