import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeJson } from '../../node/json-file.ts'
import { defaultLayout, type NodeLayout, podPaths } from '../../node/layout.ts'
import { markReleased } from '../pods/records.ts'
import { observeRunning } from './running.ts'

let layout: NodeLayout
beforeEach(() => {
  layout = { ...defaultLayout, stateDir: mkdtempSync(join(tmpdir(), 'lamina-running-')) }
})
afterEach(() => rmSync(layout.stateDir, { recursive: true }))

const loop = { number: 1, diskseq: '7' }
const device = { major: 8, minor: 16 }
const overlay = (name: string, more: object = {}) => ({
  ...{ name, uid: `uid-${name}`, access: 'ReadWrite', path: '/p', dev: '1', ino: '2', loop },
  ...more,
})
const record = (podUID: string, overlays: readonly object[], more: object = {}): void => {
  const { mounts } = podPaths(layout, podUID)
  mkdirSync(mounts, { recursive: true })
  writeJson(join(mounts, `c-${podUID}.json`), {
    ...{ containerID: `c-${podUID}`, createTime: '2026-01-01T00:00:00Z', overlays, pidFile: '/run/pid' },
    instance: { namespace: 'team', name: `name-${podUID}` },
    ...more,
  })
}
const seen = () => {
  const { overlays, ephemerals } = observeRunning(layout)
  return { overlays: overlays.map(({ key }) => key), ephemerals: ephemerals.map(({ instance }) => instance) }
}

test('what is written to, by loop device or block device; beside it readers', () => {
  record('one', [overlay('read', { access: 'ReadOnly' }), overlay('work')])
  record('two', [overlay('block', { loop: null, device })])
  expect(seen()).toEqual({ overlays: ['c-one/uid-work', 'c-two/uid-block'], ephemerals: [] })
  expect(observeRunning(layout).overlays[0]).toMatchObject({
    ...{ namespace: 'team', instance: 'name-one', name: 'work', uid: 'uid-work' },
    container: { containerID: 'c-one', pidFile: '/run/pid' },
  })
})

test('a pod that writes to none has a throw-away one', () => {
  record('one', [overlay('read', { access: 'ReadOnly' })])
  record('two', [])
  expect(seen()).toEqual({ overlays: [], ephemerals: ['name-one', 'name-two'] })
  expect(observeRunning(layout).ephemerals[0]?.directory).toBe(
    '/var/lib/kubelet/pods/one/volumes/kubernetes.io~empty-dir/lamina-ephemeral',
  )
})

test('nothing of one that is being mounted, of a released pod, and of records without an instance', () => {
  record('mounting', [overlay('work', { loop: null })])
  record('released', [overlay('work')])
  markReleased(layout, 'released')
  record('old', [overlay('work')], { instance: null })
  expect(seen()).toEqual({ overlays: [], ephemerals: [] })
})
