import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../kube/clock.ts'
import { createSerializer } from '../../../kube/serially.ts'
import { genOverlay } from '../../../test/gen/objects.ts'
import { editExt3, makeVolume } from '../../../test/node/images.ts'
import { lockImage } from '../../mount/lock.ts'
import { writeJson } from '../../node/json-file.ts'
import { defaultLayout, type NodeLayout, podPaths } from '../../node/layout.ts'
import { prepareOverlay } from '../overlay/prepare.ts'
import { genuine, podUID, storedPod } from '../testing/genuine.ts'
import type { GrantedOverlay } from './chain.ts'
import { prepareOverlays } from './mount-ready.ts'
import type { Found } from './report.ts'

let dir: string
let layout: NodeLayout
let volume: string
let found: Found[]
let lines: string[]
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-mount-ready-'))
  layout = { ...defaultLayout, stateDir: join(dir, 'run'), kubeletDir: join(dir, 'kubelet') }
  volume = join(layout.kubeletDir, 'pods', podUID, 'volumes', 'kubernetes.io~csi', 'pvc-1', 'mount')
  const paths = podPaths(layout, podUID)
  mkdirSync(paths.dir, { recursive: true })
  writeJson(paths.volumes, { volumes: [{ mountPath: '/.lamina/overlays/0', source: volume }], devices: [] })
  found = []
  lines = []
})
afterEach(() => rmSync(dir, { recursive: true }))

/** An image of which e2fsck -p makes nothing sound: it has lost its root. */
const damagedVolume = (): void => {
  makeVolume(volume, 16, '-b', '4096')
  editExt3(join(volume, 'overlay.img'), 'clri <2>', 'set_super_value error_count 1')
}

const overlay: GrantedOverlay = {
  ...{ name: 'work', uid: 'uid-work', access: 'ReadWrite', mountPath: '/.lamina/overlays/0' },
  ...{ volumeMode: 'Filesystem', format: 'Image', path: 'overlay.img', size: 16 * 2 ** 20, ext3: {} },
  ...{ existing: false, made: true, wasDamaged: false, leaves: [] },
}

const prepare = (changes: Partial<GrantedOverlay> = {}) => {
  const pod = storedPod(genuine())
  const progress = { line: (text: string) => lines.push(text), end: () => {}, ended: () => false }
  return prepareOverlays(
    {
      ...{ layout, clock: systemClock },
      onePerOverlay: createSerializer(),
      prepareOverlay,
      report: async (_overlay, decide) => {
        const status = genOverlay('work')
        const told = decide(status)
        if (told) found.push(told)
        return status
      },
    },
    { pod, progress, signal: new AbortController().signal },
    [{ ...overlay, ...changes }],
  )
}

test('a damaged overlay is reported before a writer is refused it', async () => {
  damagedVolume()
  await expect(prepare()).rejects.toMatchObject({
    reason: 'OverlayDamaged',
    message: expect.stringMatching(/^overlay "work" has errors that e2fsck -p does not mend/),
  })
  expect(found).toEqual([
    expect.objectContaining({ damaged: expect.stringMatching(/copy what you need/), checked: true }),
  ])
  expect(lines).toContain('overlay "work": checking the file system')
})

test('a reader gets it: it is reported, and mounted read-only', async () => {
  damagedVolume()
  await prepare({ access: 'ReadOnly', made: false })
  expect(found).toEqual([expect.objectContaining({ damaged: expect.any(String) })])
})

test('what others read just now is not told of: it may never have been taken over', async () => {
  makeVolume(volume, 16, '-b', '4096')
  const image = join(volume, 'overlay.img')
  const fd = openSync(image, 'r')
  try {
    lockImage(fd, 'shared', image)
    await prepare({ access: 'ReadOnly', made: false })
  } finally {
    closeSync(fd)
  }
  expect(found).toEqual([])
  await prepare()
  expect(found).toEqual([expect.objectContaining({ checked: false })])
})

test('of a reader nothing is prepared that was made before', async () => {
  await prepare({ access: 'ReadOnly' })
  expect(found).toEqual([])
})
