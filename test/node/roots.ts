import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { makeSkeleton } from '../../runtime-shim/runtime/skeleton.ts'
import { type HeldRoot, heldRootSchema, type RootSpec } from './hold-root.ts'
import { makeSquashfs, smallBase } from './images.ts'

export interface Root extends HeldRoot {
  pid: number
  /** Ends the process, and with it the mounts; resolves when the process is gone. */
  end(signal?: 'SIGKILL'): Promise<void>
}

/** A folder for images and state, and roots made of them in processes of their own. */
export interface RootBench {
  dir: string
  base: string
  /** @param spec `overlays`' names and uids default to the volume's folder */
  open(spec: {
    readWrite?: string
    readOnly?: readonly string[]
    ephemeral?: string
    base?: string
    script?: string
    waitMs?: number
  }): Promise<Root>
  /** The same, ended at once. */
  run(spec: Parameters<RootBench['open']>[0]): Promise<HeldRoot>
  close(): Promise<void>
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
  const dir = mkdtempSync(join(tmpdir(), 'lamina-roots-'))
  const base = makeSquashfs(join(dir, 'base.squashfs'), smallBase)
  const skeleton = join(dir, 'skeleton.squashfs')
  makeSkeleton(skeleton)
  const children = new Set<ChildProcess>()
  let count = 0

  const open: RootBench['open'] = async ({ readWrite, readOnly = [], script = 'true', waitMs = 0, ...rest }) => {
    const source = (directory: string, access: 'ReadWrite' | 'ReadOnly') => ({
      name: directory.split('/').at(-1) ?? '',
      uid: directory,
      access,
      directory,
    })
    const spec: RootSpec = {
      target: join(dir, 'roots', String(count++)),
      lockDir: join(dir, 'locks'),
      skeleton,
      base,
      overlays: [
        ...readOnly.map((directory) => source(directory, 'ReadOnly')),
        ...(readWrite === undefined ? [] : [source(readWrite, 'ReadWrite')]),
      ],
      script,
      waitMs,
      ...rest,
    }
    const child = spawn(process.execPath, [join(import.meta.dirname, 'hold-root.ts'), JSON.stringify(spec)], {
      stdio: ['pipe', 'pipe', 'inherit'],
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

  mkdirSync(join(dir, 'roots'))
  return {
    dir,
    base,
    open,
    run: async (spec) => {
      const root = await open(spec)
      await root.end()
      return root
    },
    close: async () => {
      for (const child of children) {
        child.kill('SIGKILL')
        await ended(child)
      }
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
