import { expect, test } from 'vitest'
import { createMetrics } from '../../../kube/metrics.ts'
import { createOverlayGauges } from './gauges.ts'
import type { Probed } from './probe.ts'
import type { RunningOverlay } from './running.ts'

const overlayOf = (name: string): RunningOverlay => ({
  key: name,
  ...{ namespace: 'team', instance: 'dev', name, uid: `uid-${name}` },
  container: { containerID: 'c', pidFile: '/run/pid' },
  record: {
    ...{ name, uid: `uid-${name}`, access: 'ReadWrite', path: '/overlay.img', dev: '1', ino: '2' },
    ...{ loop: { number: 0, diskseq: '1' }, device: null, ext3Offset: 0 },
  },
})
const probed: Probed = {
  figures: {
    ...{ needsRecovery: false, errorCount: 2, blockSize: 1024 },
    ...{ blocks: 1000, freeBlocks: 400, inodes: 100, freeInodes: 90 },
  },
  readOnly: false,
  ofVolume: false,
}

const shown = async (metrics: ReturnType<typeof createMetrics>): Promise<string[]> =>
  (await metrics.text()).split('\n').filter((line) => line.startsWith('lamina_overlay_'))

test('each overlay has its seven figures; those of one that was let go leave, and no others', async () => {
  const metrics = createMetrics()
  const gauges = createOverlayGauges(metrics)
  gauges.show(overlayOf('work'), probed, false)
  gauges.show(overlayOf('other'), { ...probed, readOnly: true }, false)
  const labels = 'namespace="team",overlay="work",instance="dev"'
  expect(await shown(metrics)).toEqual(
    expect.arrayContaining([
      `lamina_overlay_used_bytes{${labels}} ${600 * 1024}`,
      `lamina_overlay_capacity_bytes{${labels}} ${1000 * 1024}`,
      `lamina_overlay_used_inodes{${labels}} 10`,
      `lamina_overlay_capacity_inodes{${labels}} 100`,
      `lamina_overlay_errors{${labels}} 2`,
      `lamina_overlay_dirty{${labels}} 0`,
      `lamina_overlay_dirty{${labels.replace('work', 'other')}} 1`,
    ]),
  )
  gauges.miss(overlayOf('other'))
  expect(await shown(metrics)).toEqual(
    expect.arrayContaining([
      `lamina_overlay_unseen{${labels}} 0`,
      `lamina_overlay_unseen{${labels.replace('work', 'other')}} 1`,
    ]),
  )
  gauges.forget(overlayOf('work'))
  const left = await shown(metrics)
  expect(left).toHaveLength(7)
  expect(left.every((line) => line.includes('overlay="other"'))).toBe(true)
})
