import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { BaseSource, OverlaySource, OverlayVolume } from '../../runtime-shim/mount/parts.ts'
import { makeSkeleton } from '../../runtime-shim/runtime/skeleton.ts'
import { type HeldRoot, heldRootSchema, type RootSpec } from './hold-root.ts'
import { makeSquashfs, smallBase } from './images.ts'
import { benchFolder } from './run-folder.ts'

export interface Root extends HeldRoot {
  pid: number
  /** Ends the process, and with it the mounts; resolves when the process is gone. */
  end(signal?: 'SIGKILL'): Promise<void>
}

/** A folder of a volume whose `overlay.img` is meant, or an overlay of another form. */
export type OverlaySpec =
  | string
  | { volume: string | OverlayVolume; path?: string; format?: 'Directory'; leaves?: 'any' | string[] }

export interface RootRequest {
  readWrite?: OverlaySpec | undefined
  readOnly?: readonly OverlaySpec[]
  ephemeral?: string
  /** Default: a small squashfs. */
  base?: string | BaseSource
  /** Of the base, as it is to be recorded. */
  digest?: string
  allowExt3?: boolean
  /** Run by the host's `sh` in the root's directory. */
  script?: string
  waitMs?: number
}

/** A folder for images and state, and roots made of them in processes of their own. */
export interface RootBench {
  dir: string
  base: string
  /** A directory of that name, empty. */
  folder(name: string): string
  open(request: RootRequest): Promise<Root>
  /** The same, ended at once. Without any writable overlay a throw-away one is made up. */
  run(request: RootRequest): Promise<HeldRoot>
  /** Called at the end, when nothing of the bench is mounted any more and its files are still there; the last one first. */
  defer(undo: () => void): void
  close(): Promise<void>
}

const overlaySource = (spec: OverlaySpec, access: 'ReadWrite' | 'ReadOnly'): OverlaySource => {
  const {
    volume: named,
    path = 'overlay.img',
    format = 'Image',
    leaves,
  } = typeof spec === 'string' ? { volume: spec } : spec
  const volume = typeof named === 'string' ? { kind: 'directory' as const, path: named } : named
  const host = volume.kind === 'directory' ? volume.path : volume.mapPath
  return { name: basename(host), uid: host, access, volume, format, path, leaves }
}

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('exit', () => resolve())
  })

const firstLine = async (child: ChildProcess): Promise<string> => {
  if (!child.stdout) throw new Error('the child has no stdout')
  for await (const line of createInterface(child.stdout)) return line
  throw new Error('the child ended without a word')
}

export const createRootBench = (): RootBench => {
  const dir = benchFolder('roots')
  const base = makeSquashfs(join(dir, 'base.squashfs'), smallBase)
  const skeleton = join(dir, 'skeleton.squashfs')
  makeSkeleton(skeleton)
  const children = new Set<ChildProcess>()
  const deferred: (() => void)[] = []
  let count = 0

  const folder = (name: string): string => {
    const path = join(dir, name)
    mkdirSync(path, { recursive: true })
    return path
  }

  const open: RootBench['open'] = async ({ readWrite, readOnly = [], ...rest }) => {
    const number = String(count++)
    const spec: RootSpec = {
      target: join(dir, 'roots', number),
      lockDir: join(dir, 'locks'),
      skeleton,
      base: typeof rest.base === 'object' ? rest.base : { kind: 'file', path: rest.base ?? base },
      ...(rest.digest === undefined ? {} : { digest: rest.digest }),
      allowExt3: rest.allowExt3 ?? false,
      overlays: [
        ...readOnly.map((each) => overlaySource(each, 'ReadOnly')),
        ...(readWrite === undefined ? [] : [overlaySource(readWrite, 'ReadWrite')]),
      ],
      ...(readWrite === undefined ? { ephemeral: rest.ephemeral ?? folder(`ephemeral-${number}`) } : {}),
      script: rest.script ?? 'true',
      waitMs: rest.waitMs ?? 0,
    }
    const child = spawn(process.execPath, [join(import.meta.dirname, 'hold-root.ts'), JSON.stringify(spec)], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // Where Node itself keeps it: half of the time that a root takes.
      env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') },
    })
    children.add(child)
    const held = heldRootSchema.parse(JSON.parse(await firstLine(child)))
    return {
      ...held,
      pid: child.pid ?? 0,
      end: async (signal) => {
        if (signal) child.kill(signal)
        else child.stdin?.end()
        await ended(child)
      },
    }
  }

  folder('roots')
  return {
    dir,
    base,
    folder,
    open,
    run: async (request) => {
      const root = await open(request)
      await root.end()
      return root
    },
    defer: (undo) => void deferred.push(undo),
    close: async () => {
      for (const child of children) {
        child.kill('SIGKILL')
        await ended(child)
      }
      for (const undo of deferred.toReversed()) undo()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A tmpfs of so many MiB in the bench's folder, as the kubelet makes an emptyDir of medium Memory. */
export const mountMemory = (bench: RootBench, name: string, mebibytes: number): string => {
  const at = bench.folder(name)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', at])
  bench.defer(() => execFileSync('umount', [at]))
  return at
}
