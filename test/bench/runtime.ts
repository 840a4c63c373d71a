import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import * as z from 'zod'
import { installedPaths } from '../../runtime-shim/node/layout.ts'
import type { Report } from '../cluster/cluster.ts'
import { makeVolume } from '../node/images.ts'
import { createRuntimeBench, type RuntimeBench } from '../node/runtime-bench.ts'
import { median, milliseconds } from './statistics.ts'

const rounds = 20

const bundleSchema = z.looseObject({ root: z.looseObject({}) })

const timed = (act: () => unknown): number => {
  const started = performance.now()
  act()
  return performance.now() - started
}

/** One `create` of a container with an overlay, by the installed runtime. */
const createOurs = (bench: RuntimeBench, volume: string): number => {
  const mountPath = '/.lamina/overlays/0'
  const container = bench.container({ mounts: [{ destination: mountPath, source: volume }] })
  const overlay = { name: 'bench', uid: 'bench', access: 'ReadWrite' as const, mountPath }
  bench.ticket(container.podUID, { overlays: [overlay], ephemeral: null })
  const took = timed(() => bench.create(container))
  bench.kill(container)
  bench.delete(container)
  return took
}

/** The same container on the same files, unpacked, by runc alone. */
const createBare = (bench: RuntimeBench, rootfs: string): number => {
  const container = bench.container({ name: 'sidecar' })
  const file = join(container.bundle, 'config.json')
  const config = bundleSchema.parse(JSON.parse(readFileSync(file, 'utf8')))
  writeFileSync(file, JSON.stringify({ ...config, root: { ...config.root, path: rootfs } }))
  const root = join(bench.dir, 'runc')
  const args = ['--root', root, 'create', '--bundle', container.bundle, container.id]
  const took = timed(() => execFileSync('runc', args, { stdio: 'ignore' }))
  execFileSync('runc', ['--root', root, 'delete', '--force', container.id])
  return took
}

/** `lamina-runtime create` against bare runc create, and what passing through costs. */
export const benchRuntime = async (report: Report): Promise<void> => {
  const bench = await createRuntimeBench()
  try {
    const volume = makeVolume(join(bench.dir, 'volume'), 64)
    const rootfs = join(bench.dir, 'rootfs')
    execFileSync('rdsquashfs', ['--quiet', '--chmod', '--unpack-path', '/', '--unpack-root', rootfs, bench.base])
    const { launcher } = installedPaths(bench.layout)
    const state = (runtime: string) => () =>
      timed(() => execFileSync(runtime, ['--root', join(bench.dir, 'runc'), 'list'], { stdio: 'ignore' }))
    const samples: Record<string, number[]> = { ours: [], bare: [], through: [], direct: [] }
    const measure: Record<string, () => number> = {
      ours: () => createOurs(bench, volume),
      bare: () => createBare(bench, rootfs),
      through: state(launcher),
      direct: state('runc'),
    }
    for (let round = 0; round < rounds; round++) {
      for (const [name, take] of Object.entries(measure)) samples[name]?.push(take())
    }
    const of = (name: string): number => median(samples[name] ?? [])
    report(
      `create, median of ${rounds}: runc ${milliseconds(of('bare'))}, lamina-runtime ${milliseconds(of('ours'))}: +${milliseconds(of('ours') - of('bare'))} (aim +45)`,
    )
    report(`passed-through subcommands: +${milliseconds(of('through') - of('direct'))} (aim +3)`)
  } finally {
    bench.close()
  }
}
