import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../kube/clock.ts'
import { isDeviceMountedApart } from '../overlay/apart.ts'
import { makeBlockVolume } from '../overlay/testing/workplace.ts'
import { createDeviceAsker } from './ask-devices.ts'

/** Of no device: sysfs knows nothing of them. */
const volume = (minor: number) => ({ path: `/dev/none${minor}`, device: { major: 4095, minor } })

/** A clock whose time the test lets pass. */
const createClock = () => {
  const due: (() => void)[] = []
  const setTimeout = (act: () => void) => {
    due.push(act)
    return () => {
      due.splice(due.indexOf(act), 1)
    }
  }
  const pass = (): void => {
    for (const act of [...due]) act()
  }
  return { setTimeout, pass, due }
}

describe('block volumes', () => {
  test('are mounted as they say', async () => {
    const { setTimeout, due } = createClock()
    const ask = createDeviceAsker({ setTimeout }, async ({ device }) => device.minor === 2)
    expect(await ask([volume(1), volume(2), volume(3)])).toEqual([volume(2).device])
    expect(due).toEqual([])
  })

  test('that do not answer count as mounted, are asked once, and believed when they do', async () => {
    const { setTimeout, pass } = createClock()
    const { promise: answer, resolve } = Promise.withResolvers<boolean>()
    let asked = 0
    const ask = createDeviceAsker({ setTimeout }, () => {
      asked += 1
      return answer
    })
    for (let times = 0; times < 2; times++) {
      const mounted = ask([volume(1)])
      pass()
      expect(await mounted).toEqual([volume(1).device])
    }
    const mounted = ask([volume(1)])
    resolve(false)
    expect(await mounted).toEqual([])
    expect(asked).toBe(1)
    await nextTurn()
    await ask([volume(1)])
    expect(asked).toBe(2)
  })
})

describe('a real one, by a process of its own', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'lamina-ask-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  test('is asked while it is not mounted, and sysfs alone while it is', { timeout: 20_000 }, async () => {
    const device = makeBlockVolume(join(dir, 'device'), 16)
    const asked = { path: device.mapPath, device: { major: device.major, minor: device.minor } }
    const program = join(import.meta.dirname, '../overlay/preparer/main.ts')
    const ask = createDeviceAsker(systemClock, (volume) => isDeviceMountedApart(volume, program))
    const askSysfs = createDeviceAsker(systemClock, () => Promise.reject(new Error('asked')))
    try {
      execFileSync('mkfs.ext3', ['-q', device.mapPath])
      expect(await ask([asked])).toEqual([])
      execFileSync('mount', ['--mkdir', device.mapPath, join(dir, 'mounted')])
      expect(await askSysfs([asked])).toEqual([asked.device])
      execFileSync('umount', [join(dir, 'mounted')])
      await expect(askSysfs([asked])).rejects.toThrow('asked')
    } finally {
      device.detach()
    }
  })
})
