import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '../../mount/syscalls.ts'
import type { NodeLayout } from '../../node/layout.ts'
import { forgetPod, readRecords, stillMounted } from './records.ts'

const podUIDs = ({ stateDir }: NodeLayout): string[] => {
  try {
    return readdirSync(join(stateDir, 'pods'))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

/** Removes what lies on the node of pods that are gone from the API and have nothing mounted. */
export const sweepPods = (layout: NodeLayout, isKnown: (podUID: string) => boolean): void => {
  for (const podUID of podUIDs(layout)) {
    if (!isKnown(podUID) && stillMounted(readRecords(layout, podUID)).length === 0) forgetPod(layout, podUID)
  }
}
