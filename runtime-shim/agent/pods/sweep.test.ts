import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../kube/clock.ts'
import { isDeviceMounted } from '../../node/block-device.ts'
import { containerPaths, podPaths } from '../../node/layout.ts'
import { createDeviceAsker } from './ask-devices.ts'
import { sweepPods } from './sweep.ts'
import { createLeavings, type Leavings } from './testing/leavings.ts'

let left: Leavings
beforeEach(() => {
  left = createLeavings(() => new Date())
})
afterEach(() => left.clear())

/** As the agent asks, in this process. */
const askDevices = createDeviceAsker(systemClock, async (volume) => isDeviceMounted(volume))

describe('the sweep', () => {
  const liveNone = async () => new Set<string>()

  test('removes what lies of pods that are gone: records, containers, roots', async () => {
    left.recordMount('uid-dev', { path: '/nowhere/overlay.img', loop: { number: 0, diskseq: '0' } })
    expect(await sweepPods(left.layout, () => false, liveNone, askDevices)).toEqual([])
    for (const dir of ['pods', 'containers', 'roots']) expect(readdirSync(join(left.layout.stateDir, dir))).toEqual([])
  })

  test('leaves pods alone that the copy knows, without asking the API server', async () => {
    left.recordRelease('uid-dev')
    const asked = () => Promise.reject(new Error('asked'))
    expect(await sweepPods(left.layout, () => true, asked, askDevices)).toEqual([])
    expect(readdirSync(join(left.layout.stateDir, 'pods'))).toEqual(['uid-dev'])
  })

  test('leaves pods alone that only the API server knows: the kubelet can be first', async () => {
    left.recordRelease('uid-dev')
    await sweepPods(
      left.layout,
      () => false,
      async () => new Set(['uid-dev']),
      askDevices,
    )
    expect(readdirSync(join(left.layout.stateDir, 'pods'))).toEqual(['uid-dev'])
  })

  test('keeps a gone pod that has something mounted still, and revokes its ticket', async () => {
    const image = join(left.volumeOf('uid-dev'), 'overlay.img')
    left.recordMount('uid-dev', { path: image, loop: left.attach(image) })
    const { ticket } = podPaths(left.layout, 'uid-dev')
    writeFileSync(ticket, '{}')
    expect(await sweepPods(left.layout, () => false, liveNone, askDevices)).toEqual(['uid-dev'])
    expect(existsSync(ticket)).toBe(false)
    expect(existsSync(containerPaths(left.layout, 'c-uid-dev').mount)).toBe(true)
  })
})
