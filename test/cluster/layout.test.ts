import { expect, test } from 'vitest'
import { clusterLayout, clusterNames, nodesOf } from './layout.ts'

test('clusters share no port, address, folder or control group', () => {
  const layouts = clusterNames.map(clusterLayout)
  const claimed = layouts.flatMap((layout) => [
    ...Object.values(layout.ports),
    ...[layout.serviceSubnet, layout.stateDir],
    ...nodesOf(layout).flatMap(({ podSubnet, cgroup }) => [podSubnet, cgroup]),
  ])
  expect(new Set(claimed).size).toBe(claimed.length)
})

test('an unknown name is refused with the known ones', () => {
  expect(() => clusterLayout('prod')).toThrow(
    'no cluster "prod": choose one of dev, test, scratch, bench, north, east, south, west',
  )
})
