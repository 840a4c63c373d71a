import { expect, test } from 'vitest'
import { clusterLayout, clusterNames } from './layout.ts'

test('clusters share no port, address, folder or control group', () => {
  const layouts = clusterNames.map(clusterLayout)
  const claimed = layouts.flatMap(({ ports, podSubnet, serviceSubnet, stateDir, cgroup }) => [
    ...Object.values(ports),
    ...[podSubnet, serviceSubnet, stateDir, cgroup],
  ])
  expect(new Set(claimed).size).toBe(claimed.length)
})

test('an unknown name is refused with the known ones', () => {
  expect(() => clusterLayout('prod')).toThrow('no cluster "prod": choose one of dev, test, scratch')
})
