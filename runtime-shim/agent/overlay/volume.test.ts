import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeBlockVolume } from './testing/workplace.ts'
import { volumeOf } from './volume.ts'

let kubeletDir: string
let podDir: string
beforeEach(() => {
  kubeletDir = mkdtempSync(join(tmpdir(), 'lamina-kubelet-'))
  podDir = join(kubeletDir, 'pods', 'uid-pod')
})
afterEach(() => rmSync(kubeletDir, { recursive: true }))

const mountPath = '/.lamina/overlays/0'
const find = (
  volumeMode: 'Filesystem' | 'Block',
  told: { source?: string; device?: { major: number; minor: number } },
) =>
  volumeOf(
    { kubeletDir },
    'uid-pod',
    {
      volumes: told.source === undefined ? [] : [{ mountPath, source: told.source }],
      devices: told.device ? [{ mountPath, device: told.device }] : [],
    },
    { name: 'work', mountPath, volumeMode },
  )
const unsuitable = (why: RegExp) =>
  expect.objectContaining({ reason: 'OverlayVolumeUnsuitable', message: expect.stringMatching(why) })

describe('a volume with a file system', () => {
  test('lies where the kubelet has laid it down for this pod', () => {
    const path = join(podDir, 'volumes', 'kubernetes.io~csi', 'pvc-1', 'mount')
    expect(find('Filesystem', { source: path })).toEqual({ kind: 'directory', path })
  })

  test.each([
    ['elsewhere', () => '/srv/data'],
    ["in another pod's", () => join(kubeletDir, 'pods', 'uid-other', 'volumes', 'x')],
    ['by a way out', () => `${podDir}/volumes/../../uid-other/volumes/x`],
  ])('is refused %s', (_where, source) => {
    expect(() => find('Filesystem', { source: source() })).toThrow(unsuitable(/hostPath volumes are not possible/))
  })
})

describe('a block volume', () => {
  test('is the device that the kubelet has a link to for this pod', () => {
    const device = makeBlockVolume(join(kubeletDir, 'device'), 1)
    try {
      const { major, minor, mapPath: node } = device
      const mapPath = join(podDir, 'volumeDevices', 'kubernetes.io~csi', 'pvc-1')
      mkdirSync(join(mapPath, '..'), { recursive: true })
      symlinkSync('/dev/null', join(mapPath, '..', 'pvc-0'))
      expect(() => find('Block', { device: { major, minor } })).toThrow(
        unsuitable(/has no block volume 7:\d+ of this pod/),
      )
      symlinkSync(node, mapPath)
      expect(find('Block', { device: { major, minor } })).toEqual({ kind: 'device', major, minor, mapPath })
    } finally {
      device.detach()
    }
  })

  test('must have been handed to the container prepare', () => {
    expect(() => find('Block', {})).toThrow(unsuitable(/has no device at/))
  })
})
