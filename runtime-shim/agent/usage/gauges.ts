import type { Metrics } from '../../../kube/metrics.ts'
import { amountsOf } from '../pods/report.ts'
import type { Probed } from './probe.ts'
import type { RunningOverlay } from './running.ts'

/** What Prometheus sees of the overlays in use on this node; of one that was let go, nothing. */
export interface OverlayGauges {
  /** @param dirty whether it was not cleanly unmounted before this mount, or will not be */
  show(overlay: RunningOverlay, probed: Probed, dirty: boolean): void
  /** The figures that are shown are old: the kernel does not answer for it. */
  miss(overlay: RunningOverlay): void
  forget(overlay: RunningOverlay): void
}

const labelNames = ['namespace', 'overlay', 'instance'] as const

export const createOverlayGauges = (metrics: Metrics): OverlayGauges => {
  const gauge = (name: string, help: string) => metrics.gauge(`lamina_overlay_${name}`, help, labelNames)
  const usedBytes = gauge('used_bytes', 'Bytes in use; of format Directory, in the whole volume.')
  const capacityBytes = gauge('capacity_bytes', 'Bytes that the file system can hold.')
  const usedInodes = gauge('used_inodes', 'Inodes in use.')
  const capacityInodes = gauge('capacity_inodes', 'Inodes that the file system can hold.')
  const errors = gauge('errors', 'Errors that the kernel noted in the file system.')
  const dirty = gauge('dirty', '1 where the last unmount was not clean, or an error has stopped all writing.')
  const unseen = gauge('unseen', '1 while the kernel does not answer for it: its other figures are old.')
  const labelsOf = ({ namespace, name, instance }: RunningOverlay) => ({ namespace, overlay: name, instance })
  return {
    show: (overlay, { figures, readOnly }, wasDirty) => {
      const labels = labelsOf(overlay)
      const amounts = amountsOf(figures)
      usedBytes.set(amounts.usedBytes, labels)
      capacityBytes.set(amounts.capacityBytes, labels)
      usedInodes.set(amounts.usedInodes, labels)
      capacityInodes.set(amounts.capacityInodes, labels)
      errors.set(figures.errorCount, labels)
      dirty.set(wasDirty || readOnly ? 1 : 0, labels)
      unseen.set(0, labels)
    },
    miss: (overlay) => unseen.set(1, labelsOf(overlay)),
    forget: (overlay) => {
      const labels = labelsOf(overlay)
      const all = [usedBytes, capacityBytes, usedInodes, capacityInodes, errors, dirty, unseen]
      for (const each of all) each.remove(labels)
    },
  }
}
