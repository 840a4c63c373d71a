import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { unhealthy } from '../../../kube/names.ts'
import type { Pod } from '../../../kube/resources.ts'
import { readJson } from '../../node/json-file.ts'
import { podPaths } from '../../node/layout.ts'
import { namesIn } from '../../node/names-in.ts'
import { type Damage, damageSchema } from '../../node/ticket.ts'
import type { NodeServices } from '../services.ts'
import { type Found, healthOfStatus, type OverlayReporter } from './report.ts'
import { tellUnlessRefused } from './report-refused.ts'

interface Teller extends Pick<NodeServices, 'layout' | 'log' | 'clock'> {
  report: OverlayReporter
}

/** What is found damaged so soon after a check, the next check will not mend. */
const soonMs = 60_000

/** Undefined where its status says worse already, with what to do. */
const verdictOn = (
  { status }: PersistentOverlay,
  health: string | undefined,
  message: string,
  now: Date,
): Found | undefined => {
  if (health === unhealthy.damaged) return undefined
  const isChecked = status.lastCheckTime !== undefined && now.getTime() - Date.parse(status.lastCheckTime) < soonMs
  return isChecked
    ? { damaged: `${message}, though it has just been checked: back its volume up, and mend it by hand` }
    : { unmountable: message }
}

const tell = async ({ report, log, clock }: Teller, { metadata }: Pod, { overlay, message }: Damage): Promise<void> => {
  const { namespace, name: instance } = metadata
  const inUse = { namespace, ...overlay, instance }
  log.warn({ kind: 'PersistentOverlay', namespace, name: overlay.name }, message)
  await tellUnlessRefused(log, inUse, () =>
    report(inUse, (found) => verdictOn(found, healthOfStatus(found)?.reason, message, clock.now())),
  )
}

/** Tells what the runtime has found damaged when it mounted for the pod; each once. */
export const tellDamages = async (node: Teller, pod: Pod): Promise<void> => {
  const { damages } = podPaths(node.layout, pod.metadata.uid)
  for (const name of namesIn(damages).filter((each) => each.endsWith('.json'))) {
    const file = join(damages, name)
    const found = readJson(file, damageSchema)
    if (!found) continue
    await tell(node, pod, found)
    // The runtime may have come to know more meanwhile.
    if (isDeepStrictEqual(readJson(file, damageSchema), found)) rmSync(file, { force: true })
  }
}
