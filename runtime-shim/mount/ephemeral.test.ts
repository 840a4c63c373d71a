import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createRootBench, mountMemory, type RootBench, type RootRequest } from '../../test/node/roots.ts'

// Each root is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let bench: RootBench
beforeEach(() => {
  bench = createRootBench()
})
afterEach(() => bench.close())

const outputOf = async (request: RootRequest): Promise<string> => {
  const { error, output } = await bench.run(request)
  return error ?? output
}

describe('the throw-away overlay', () => {
  const write = (mebibytes: number) => `dd if=/dev/zero of=big bs=1M count=${mebibytes} 2>&1 | tail -1`

  test('on disk takes more than 64 MiB', async () => {
    expect(await outputOf({ script: write(80) })).toMatch(/^83886080 bytes/)
  })

  test('in memory takes more than 64 MiB where it may', async () => {
    expect(await outputOf({ ephemeral: mountMemory(bench, 'memory', 96), script: write(80) })).toMatch(
      /^83886080 bytes/,
    )
  })

  test('in memory says at its limit that it is full, and works on', async () => {
    const script = 'dd if=/dev/zero of=big bs=1M count=16; rm big; echo small > small; cat small'
    expect(await outputOf({ ephemeral: mountMemory(bench, 'memory', 8), script })).toMatch(
      /^small\n.*No space left on device/s,
    )
  })

  test.each([
    ['disk', () => bench.folder('ephemeral')],
    ['memory', () => mountMemory(bench, 'ephemeral', 8)],
  ])('is fresh at each start (%s)', async (_medium, make) => {
    const ephemeral = make()
    await bench.run({
      ephemeral,
      script: 'mkdir -p a/b; echo x > a/b/c; rm etc/group',
    })
    expect(await outputOf({ ephemeral, script: 'ls; ls etc/group' })).toBe('dev\netc\nopt\nproc\nsys\netc/group\n')
  })
})
