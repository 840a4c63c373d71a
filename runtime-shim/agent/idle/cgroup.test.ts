import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cgroupOf, cpuMsOf, pidsOf } from './cgroup.ts'

const id = 'a'.repeat(64)

describe("a container's control group, in the words of /proc/<pid>/cgroup", () => {
  test.each([
    ['version 2', `0::/kubepods/burstable/pod1/${id}\n`, `/cg/kubepods/burstable/pod1/${id}`, 2],
    [
      'version 2, systemd',
      `0::/kubepods.slice/cri-containerd-${id}.scope\n`,
      `/cg/kubepods.slice/cri-containerd-${id}.scope`,
      2,
    ],
    ['version 1', `9:name=systemd:/other\n4:cpu,cpuacct:/kubepods/${id}\n`, `/cg/cpuacct/kubepods/${id}`, 1],
    ['version 1 beside version 2', `4:cpuacct:/k/${id}\n0::/k/${id}\n`, `/cg/cpuacct/k/${id}`, 1],
    ['a process that has put itself below', `0::/k/${id}/mine\n`, `/cg/k/${id}`, 2],
    ['a name with a colon', `0::/k:8/${id}\n`, `/cg/k:8/${id}`, 2],
  ])('%s', (_, text, dir, version) => {
    expect(cgroupOf(text, id, '/cg')).toEqual({ dir, version })
  })

  test("another's", () => {
    expect(cgroupOf(`0::/k/${'b'.repeat(64)}\n`, id, '/cg')).toBeUndefined()
  })
})

describe('what is read there', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-cgroup-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  test('CPU time, which both versions have in units of their own', () => {
    writeFileSync(join(dir, 'cpuacct.usage'), '1500000000\n')
    writeFileSync(join(dir, 'cpu.stat'), 'usage_usec 2500000\nuser_usec 1\nsystem_usec 2\n')
    expect(cpuMsOf({ dir, version: 1 })).toBe(1500)
    expect(cpuMsOf({ dir, version: 2 })).toBe(2500)
  })

  test('processes, also of groups below', () => {
    mkdirSync(join(dir, 'a/b'), { recursive: true })
    for (const [group, pids] of [
      ['', '1\n2\n'],
      ['a', ''],
      ['a/b', '3\n'],
    ] as const) {
      writeFileSync(join(dir, group, 'cgroup.procs'), pids)
    }
    expect(pidsOf({ dir })).toEqual([1, 2, 3])
  })
})
