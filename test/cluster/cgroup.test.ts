import { expect, test } from 'vitest'
import { type CgroupTree, cgroupPlan } from './cgroup.ts'

const root = '/sys/fs/cgroup'
const separate: CgroupTree = {
  root,
  version: 1,
  hierarchies: ['cpuset', 'memory', 'unified'],
  cpuset: { cpus: '0-1', mems: '0' },
}
const unified = (...controllers: string[]): CgroupTree => ({ root, version: 2, controllers })

test('on v1 the group is in every hierarchy, and its cpuset names processors and memory nodes', () => {
  expect(cgroupPlan('lamina-test', separate)).toEqual({
    directories: [`${root}/cpuset/lamina-test`, `${root}/memory/lamina-test`, `${root}/unified/lamina-test`],
    writes: [
      { file: `${root}/cpuset/lamina-test/cpuset.cpus`, content: '0-1' },
      { file: `${root}/cpuset/lamina-test/cpuset.mems`, content: '0' },
    ],
  })
})

test('on v2 the group is one folder, and the root hands down what the kubelet demands', () => {
  const tree = unified('cpuset', 'cpu', 'io', 'memory', 'hugetlb', 'pids', 'rdma')
  expect(cgroupPlan('lamina-test', tree)).toEqual({
    directories: [`${root}/lamina-test`],
    writes: [{ file: `${root}/cgroup.subtree_control`, content: '+cpu +cpuset +memory +pids +hugetlb' }],
  })
})

test('on v2 a controller that the kernel does not have is not asked for: the write would fail as a whole', () => {
  const [write] = cgroupPlan('lamina-test', unified('memory', 'pids')).writes
  expect(write?.content).toBe('+memory +pids')
})
