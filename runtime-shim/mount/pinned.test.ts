import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { makeVolume } from '../../test/node/images.ts'
import { createRootBench, type RootBench } from '../../test/node/roots.ts'

vi.setConfig({ testTimeout: 60_000 })

let bench: RootBench
const mounted: string[] = []
beforeEach(() => {
  bench = createRootBench()
})
afterEach(async () => {
  for (const at of mounted.splice(0)) execFileSync('umount', ['--lazy', at])
  await bench.close()
})

/** The kubelet's mount of a volume for one pod. */
const podMount = (volume: string, pod: string): string => {
  const at = join(bench.dir, pod)
  mkdirSync(at)
  execFileSync('mount', ['--bind', volume, at])
  mounted.push(at)
  return at
}
const unmount = (at: string): void => {
  execFileSync('umount', [at], { stdio: 'pipe' })
  mounted.splice(mounted.indexOf(at), 1)
}
const ephemeral = (name: string): string => {
  const dir = join(bench.dir, name)
  mkdirSync(dir)
  return dir
}

test("the volume of the reader that came first can go while another reads: they share the first one's loop device", async () => {
  const volume = makeVolume(join(bench.dir, 'volume'))
  await bench.run({ readWrite: volume, script: 'echo text > foo' })
  const [first, second] = [podMount(volume, 'first'), podMount(volume, 'second')]
  const reader = await bench.open({ readOnly: [first], ephemeral: ephemeral('a'), script: 'cat foo' })
  const other = await bench.open({ readOnly: [second], ephemeral: ephemeral('b'), script: 'cat foo' })
  expect(other.loops).toEqual(reader.loops)
  await reader.end()
  unmount(first)
  const later = await bench.open({ readOnly: [second], ephemeral: ephemeral('c'), script: 'cat foo' })
  expect([later.output, later.loops]).toEqual(['text\n', other.loops])
  await other.end()
  await later.end()
  unmount(second)
})

test("a writer's volume cannot go before the kernel has written all", async () => {
  const volume = makeVolume(join(bench.dir, 'volume'))
  const at = podMount(volume, 'pod')
  const writer = await bench.open({ readWrite: at })
  expect(() => unmount(at)).toThrow(/busy/)
  await writer.end()
  unmount(at)
})

test('nodes that share a kernel, but no locks, share no loop device: one could not tell when the other is done', async () => {
  const volume = makeVolume(join(bench.dir, 'volume'))
  await bench.run({ readWrite: volume, script: 'echo text > foo' })
  const neighbour = createRootBench()
  try {
    const here = await bench.open({ readOnly: [volume], ephemeral: ephemeral('a'), script: 'cat foo' })
    const there = await neighbour.open({ readOnly: [volume], ephemeral: ephemeral('b'), script: 'cat foo' })
    expect([here.output, there.output]).toEqual(['text\n', 'text\n'])
    expect(here.loops).not.toEqual(there.loops)
  } finally {
    await neighbour.close()
  }
})
