import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { attachBlockDevice, type BlockDevice, makeExt3 } from '../../test/node/images.ts'
import { isDeviceMounted } from './block-device.ts'

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
