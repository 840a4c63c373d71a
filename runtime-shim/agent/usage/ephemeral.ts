import { statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../../kube/clock.ts'
import type { Metrics } from '../../../kube/metrics.ts'
import { runProgram } from '../../node/program.ts'
import type { RunningEphemeral } from './running.ts'

const isThere = (directory: string): boolean => statSync(directory, { throwIfNoEntry: false }) !== undefined

/** In memory each is a file system of its own. */
const isInMemory = (directory: string): boolean => statSync(directory).dev !== statSync(dirname(directory)).dev

const usedOf = async (directory: string): Promise<number> => {
  const { bsize, blocks, bfree } = await statfs(directory)
  return (blocks - bfree) * bsize
}

/** Files that vanish meanwhile make du(1) end with a failure; it says all else. */
const diskUsage = async (directories: readonly string[]): Promise<ReadonlyMap<string, number>> => {
  if (directories.length === 0) return new Map()
  const options = ['--summarize', '--one-file-system', '--block-size=1', '--null', '--']
  const { stdout } = await runProgram('du', [...options, ...directories])
  const lines = stdout
    .toString()
    .split('\0')
    .map((line) => /^(\d+)\t(.*)$/s.exec(line) ?? [])
  return new Map(
    lines.flatMap(([, bytes, path]) => (path === undefined ? [] : [[path, Number(bytes)] as [string, number]])),
  )
}

/** Counting files costs time: at most this share of it. */
const diskShare = 1 / 1000
const diskEveryMs = 300_000

/** Shows how much throw-away overlays have in use. */
export interface EphemeralWatch {
  /** Those on disk are counted when they are new, and then now and then only. */
  look(running: readonly RunningEphemeral[]): Promise<void>
}

export const createEphemeralWatch = (metrics: Metrics, clock: Pick<Clock, 'now'>): EphemeralWatch => {
  const gauge = metrics.gauge(
    'lamina_ephemeral_used_bytes',
    'Bytes in use in the throw-away overlay of a pod; of those on disk, counted at first and then every few minutes.',
    ['namespace', 'pod'],
  )
  const labelsOf = ({ namespace, instance }: RunningEphemeral) => ({ namespace, pod: instance })
  const shown = new Map<string, RunningEphemeral>()
  let diskDue = 0

  const show = (running: readonly RunningEphemeral[], used: ReadonlyMap<string, number>): void => {
    for (const ephemeral of running) {
      const bytes = used.get(ephemeral.directory)
      if (bytes === undefined) continue
      shown.set(ephemeral.directory, ephemeral)
      gauge.set(bytes, labelsOf(ephemeral))
    }
  }

  const forgetAllBut = (running: readonly RunningEphemeral[]): void => {
    const kept = new Set(running.map(({ directory }) => directory))
    for (const [directory, ephemeral] of shown) {
      if (kept.has(directory)) continue
      shown.delete(directory)
      gauge.remove(labelsOf(ephemeral))
    }
  }

  return {
    look: async (running) => {
      forgetAllBut(running)
      const directories = running.map(({ directory }) => directory).filter(isThere)
      const inMemory = directories.filter(isInMemory)
      show(running, new Map(await Promise.all(inMemory.map(async (each) => [each, await usedOf(each)] as const))))
      const onDisk = directories.filter((each) => !isInMemory(each))
      const isDue = clock.now().getTime() >= diskDue
      const started = performance.now()
      // What has just come has few files yet, and may be gone before all are due.
      show(running, await diskUsage(isDue ? onDisk : onDisk.filter((each) => !shown.has(each))))
      const took = performance.now() - started
      if (isDue) diskDue = clock.now().getTime() + Math.max(diskEveryMs, took / diskShare)
    },
  }
}
