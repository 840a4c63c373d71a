import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMetrics } from '../../../kube/metrics.ts'
import { createManualClock } from '../../../kube/testing/manual-clock.ts'
import { createEphemeralWatch } from './ephemeral.ts'
import type { RunningEphemeral } from './running.ts'

let dir: string
const mounts: string[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-ephemeral-'))
})
afterEach(() => {
  for (const mount of mounts.splice(0)) execFileSync('umount', [mount])
  rmSync(dir, { recursive: true })
})

const emptyDir = (instance: string): RunningEphemeral => {
  const directory = join(dir, instance, 'lamina-ephemeral')
  mkdirSync(directory, { recursive: true })
  return { namespace: 'team', instance, directory }
}
const inMemory = (instance: string): RunningEphemeral => {
  const ephemeral = emptyDir(instance)
  execFileSync('mount', ['-t', 'tmpfs', 'none', ephemeral.directory])
  mounts.push(ephemeral.directory)
  return ephemeral
}
const fill = ({ directory }: RunningEphemeral, mebibytes: number): void => {
  mkdirSync(join(directory, 'upper'), { recursive: true })
  writeFileSync(join(directory, 'upper', `file\n${mebibytes}`), Buffer.alloc(mebibytes * 2 ** 20))
}

const createNode = () => {
  const metrics = createMetrics()
  const clock = createManualClock()
  const watch = createEphemeralWatch(metrics, clock)
  const shown = async () =>
    new Map(
      [...(await metrics.text()).matchAll(/^lamina_ephemeral_used_bytes\{.*pod="(.*)"\} (\d+)/gm)].map(
        ([, pod, bytes]) => [pod, Math.round(Number(bytes) / 2 ** 20)] as const,
      ),
    )
  return { watch, clock, shown }
}

describe('throw-away overlays', () => {
  test('in memory are looked at each time', async () => {
    const { watch, shown } = createNode()
    const one = inMemory('one')
    fill(one, 2)
    await watch.look([one])
    expect(await shown()).toEqual(new Map([['one', 2]]))
    fill(one, 3)
    await watch.look([one])
    expect(await shown()).toEqual(new Map([['one', 5]]))
  })

  test('on disk are counted every five minutes', async () => {
    const { watch, clock, shown } = createNode()
    const [one, two] = [emptyDir('one'), emptyDir('two')]
    fill(one, 2)
    await watch.look([one, two])
    fill(two, 3)
    await clock.advance(299_000)
    await watch.look([one, two])
    expect(await shown()).toEqual(
      new Map([
        ['one', 2],
        ['two', 0],
      ]),
    )
    await clock.advance(1_000)
    await watch.look([one, two])
    expect((await shown()).get('two')).toBe(3)
  })

  test('on disk are counted once as soon as they come, however long it is until the next count', async () => {
    const { watch, shown } = createNode()
    await watch.look([])
    const late = emptyDir('late')
    fill(late, 2)
    await watch.look([late])
    expect(await shown()).toEqual(new Map([['late', 2]]))
    fill(late, 3)
    await watch.look([late])
    expect(await shown()).toEqual(new Map([['late', 2]]))
  })

  test('leave with their pods; one whose directory is gone already shows nothing', async () => {
    const { watch, shown } = createNode()
    const one = emptyDir('one')
    await watch.look([one, { ...one, instance: 'gone', directory: join(dir, 'gone', 'lamina-ephemeral') }])
    expect([...(await shown()).keys()]).toEqual(['one'])
    await watch.look([])
    expect((await shown()).size).toBe(0)
  })
})
