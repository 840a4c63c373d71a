import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { KubeClient } from '../../../kube/client.ts'
import { createMetrics } from '../../../kube/metrics.ts'
import { createManualClock } from '../../../kube/testing/manual-clock.ts'
import { silentLog } from '../../../kube/testing/silent-log.ts'
import { genOverlay } from '../../../test/gen/objects.ts'
import { writeJson } from '../../node/json-file.ts'
import { defaultLayout, type NodeLayout, podPaths } from '../../node/layout.ts'
import { createOverlayReporter } from '../pods/report.ts'
import type { Probed } from './probe.ts'
import { createUsage } from './usage.ts'

let layout: NodeLayout
beforeEach(() => {
  layout = { ...defaultLayout, stateDir: mkdtempSync(join(tmpdir(), 'lamina-usage-')) }
})
afterEach(() => rmSync(layout.stateDir, { recursive: true }))

/** A running instance that has the overlays mounted. */
const record = (names: readonly string[]): void => {
  const { mounts } = podPaths(layout, 'pod')
  mkdirSync(mounts, { recursive: true })
  writeJson(join(mounts, 'c.json'), {
    ...{ containerID: 'c', createTime: '2026-01-01T00:00:00Z', pidFile: '/pid' },
    instance: { namespace: 'team', name: 'dev' },
    overlays: names.map((name) => ({
      ...{ name, uid: `uid-${name}`, access: 'ReadWrite', path: '/p', dev: '1', ino: '2' },
      loop: { number: 1, diskseq: '7' },
    })),
  })
}

const gibibyte: Probed = {
  figures: {
    ...{ needsRecovery: false, errorCount: 0, blockSize: 4096, blocks: 262_144, freeBlocks: 100_000 },
    ...{ inodes: 65_536, freeInodes: 60_000 },
  },
  readOnly: false,
  ofVolume: false,
}

test('an API server that is away for hours is asked every five minutes; the metrics go on, and then it is told', async () => {
  record(['work'])
  const clock = createManualClock()
  const metrics = createMetrics()
  const asked = { isDown: true, times: 0, written: 0, looks: 0 }
  const client: Pick<KubeClient, 'get' | 'apply'> = {
    get: async (resource) => {
      asked.times++
      if (asked.isDown) throw new Error('no answer')
      return resource.parse(genOverlay('work'))
    },
    apply: async (resource) => {
      asked.written++
      return resource.parse(genOverlay('work'))
    },
  }
  const events = { event: () => {} }
  const usage = createUsage(
    {
      ...{ layout, metrics, clock, events, log: silentLog, worker: '' },
      onePerOverlay: (_uid, act) => act(),
      report: createOverlayReporter({ client, events, clock }),
      askedSize: () => undefined,
    },
    {
      readBlocks: async () => 262_144,
      probe: async () => {
        asked.looks++
        return gibibyte
      },
    },
  )
  const stop = new AbortController()
  const running = usage.run(stop.signal)
  const hour = 3_600_000

  await clock.advance(4 * hour)
  expect(asked.looks).toBeGreaterThan((4 * hour) / 60_000)
  // Twice as often where the delay is drawn short, and the first ones within a minute.
  expect(asked.times).toBeLessThan(2 * 4 * 12 + 20)
  expect(await metrics.text()).toContain('lamina_overlay_used_bytes{namespace="team",overlay="work",instance="dev"}')

  asked.isDown = false
  await clock.advance(300_000)
  expect(asked.written).toBe(1)
  stop.abort()
  await running
})

test('growths that never end keep nobody from being told', async () => {
  const clock = createManualClock()
  const names = Array.from({ length: 20 }, (_, n) => `work-${n}`)
  record(names)
  const growing: string[] = []
  const written: string[] = []
  const overlayOf = (name: string) =>
    genOverlay(name, { metadata: { uid: `uid-${name}` }, spec: { size: '2Gi' }, status: { usage: undefined } })
  const client: Pick<KubeClient, 'get' | 'apply'> = {
    get: async (resource, { name }) => resource.parse(overlayOf(name)),
    apply: async (resource, body) => {
      const applied = resource.parse({ ...overlayOf('work'), ...body })
      written.push(applied.metadata.name)
      return applied
    },
  }
  const events = { event: () => {} }
  const figures = { ...gibibyte.figures }
  const usage = createUsage(
    {
      ...{ layout, metrics: createMetrics(), clock, events, log: silentLog, worker: '' },
      onePerOverlay: (uid) => {
        growing.push(uid)
        return new Promise(() => {})
      },
      report: createOverlayReporter({ client, events, clock }),
      askedSize: () => undefined,
    },
    { readBlocks: async () => figures.blocks, probe: async () => ({ ...gibibyte, figures }) },
  )
  const stop = new AbortController()
  void usage.run(stop.signal)
  await clock.advance(60_000)
  expect(growing.toSorted()).toEqual(names.map((name) => `uid-${name}`).toSorted())

  written.length = 0
  figures.freeBlocks = 1_000
  await clock.advance(60_000)
  expect(written.toSorted()).toEqual(names.toSorted())
  expect(growing).toHaveLength(names.length)
  stop.abort()
})
