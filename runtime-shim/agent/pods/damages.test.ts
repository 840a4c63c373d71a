import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { ApiError } from '../../../kube/client.ts'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { condition, genOverlay, genPod } from '../../../test/gen/objects.ts'
import { writeJson } from '../../node/json-file.ts'
import { defaultLayout, type NodeLayout, podPaths } from '../../node/layout.ts'
import { tellDamages } from './damages.ts'
import type { Found, OverlayReporter } from './report.ts'

let layout: NodeLayout
beforeEach(() => {
  layout = { ...defaultLayout, stateDir: mkdtempSync(join(tmpdir(), 'lamina-damages-')) }
})
afterEach(() => rmSync(layout.stateDir, { recursive: true }))

const pod = genPod('dev')
const dir = (): string => podPaths(layout, pod.metadata.uid).damages

const find = (name: string, message: string): void => {
  mkdirSync(dir(), { recursive: true })
  writeJson(join(dir(), `uid-${name}.json`), { overlay: { name, uid: `uid-${name}` }, message })
}

const now = new Date('2026-03-01T12:00:00Z')

/** @returns what was reported, by overlay */
const tell = async (
  overlay: PersistentOverlay = genOverlay('work'),
  onReport: () => void = () => {},
): Promise<Record<string, Found | undefined>> => {
  const told: Record<string, Found | undefined> = {}
  const report: OverlayReporter = async ({ name }, decide) => {
    onReport()
    told[name] = decide(overlay)
    return overlay
  }
  const clock = { now: () => now, monotonicMs: () => now.getTime(), setTimeout: () => () => {} }
  await tellDamages({ layout, log: silentLog, clock, report }, pod)
  return told
}

test('each overlay is told of, once', async () => {
  find('one', 'its root is gone')
  find('two', 'its journal is gone')
  expect(await tell()).toEqual({
    one: { unmountable: 'its root is gone' },
    two: { unmountable: 'its journal is gone' },
  })
  expect(await tell()).toEqual({})
  expect(readdirSync(dir())).toEqual([])
})

test('what a check has just been over is for a person to mend', async () => {
  find('work', 'its root is gone')
  const { work } = await tell(genOverlay('work', { status: { lastCheckTime: '2026-03-01T11:59:30Z' } }))
  expect(work?.damaged).toMatch(/^its root is gone, though it has just been checked: .* by hand/)
})

test('the word of e2fsck stands', async () => {
  find('work', 'its journal is gone')
  const conditions = [condition('Healthy', 'False', 'FileSystemDamaged')]
  expect(await tell(genOverlay('work', { status: { conditions } }))).toEqual({ work: undefined })
})

test('found again while it was told, it is told again', async () => {
  find('work', 'its journal is gone')
  await tell(undefined, () => find('work', 'its root is gone'))
  expect(await tell()).toEqual({ work: { unmountable: 'its root is gone' } })
})

test('what the API server refuses for good does not keep the pod', async () => {
  find('work', 'its journal is gone')
  const refusing = () => {
    throw new ApiError('no', { status: 403, reason: 'Forbidden' })
  }
  await tell(undefined, refusing)
  expect(readdirSync(dir())).toEqual([])
})

test('what it cannot take now is told later', async () => {
  find('work', 'its journal is gone')
  const failing = () => {
    throw new ApiError('later', { status: 503, reason: 'ServiceUnavailable' })
  }
  await expect(tell(undefined, failing)).rejects.toThrow('later')
  expect(await tell()).toHaveProperty('work')
})
