import { expect, test } from 'vitest'
import { genPod } from '../test/gen/objects.ts'
import { hasPrepare } from './prepare-container.ts'

const initContainer = (name: string) => ({ name, image: 'operator' })

test.each([
  ['with the container among others', [initContainer('mine'), initContainer('prepare')], true],
  ['with others only', [initContainer('mine')], false],
  ['without any', [], false],
])('a pod %s', (_what, initContainers, has) => {
  const containers = [{ name: 'prepare', image: 'mine' }]
  expect(hasPrepare(genPod('dev', { spec: { initContainers, containers } }))).toBe(has)
})
