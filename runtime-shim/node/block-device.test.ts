import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { attachBlockDevice, type BlockDevice, makeExt3 } from '../../test/node/images.ts'
import { findMapPath, isDeviceMounted } from './block-device.ts'

let dir: string
let device: BlockDevice
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-device-'))
  device = attachBlockDevice(makeExt3(join(dir, 'disk')))
  mkdirSync(join(dir, 'mounted'))
})
afterEach(() => {
  device.detach()
  rmSync(dir, { recursive: true })
})

const whileMounted = (options: string, act: () => void): void => {
  execFileSync('mount', ['-o', options, device.mapPath, join(dir, 'mounted')])
  try {
    act()
  } finally {
    execFileSync('umount', [join(dir, 'mounted')])
  }
}

const numbers = () => ({ major: device.major, minor: device.minor })
const asked = (path = device.mapPath) => isDeviceMounted({ path, device: numbers() })

describe('a block volume is mounted', () => {
  test.each(['rw', 'ro'])('exactly while somebody has it mounted, %s', (options) => {
    expect(asked()).toBe(false)
    whileMounted(options, () => expect(asked()).toBe(true))
    expect(asked()).toBe(false)
  })

  test.each(['/no/such/path', '/dev/null', '/'])('also when its path leads elsewhere by now: %s', (path) => {
    whileMounted('rw', () => expect(asked(path)).toBe(true))
    expect(asked(path)).toBe(false)
  })

  test('never when the machine has no such device', () => {
    expect(isDeviceMounted({ path: device.mapPath, device: { major: 4095, minor: 77 } })).toBe(false)
  })
})

describe("the kubelet's path of a block volume", () => {
  test('leads to its device, among those of one pod', () => {
    const volumes = join(dir, 'volumeDevices', 'kubernetes.io~csi')
    expect(findMapPath(dir, numbers())).toBeUndefined()
    mkdirSync(volumes, { recursive: true })
    symlinkSync('/dev/null', join(volumes, 'pvc-0'))
    symlinkSync('/no/such/path', join(volumes, 'pvc-1'))
    expect(findMapPath(dir, numbers())).toBeUndefined()
    symlinkSync(device.mapPath, join(volumes, 'pvc-2'))
    expect(findMapPath(dir, numbers())).toBe(join(volumes, 'pvc-2'))
  })
})
