import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { unhealthy } from '../../../kube/names.ts'

/**
 * Whether an overlay is whole, and what gets it checked. The API has no way to
 * ask for a check: nodes check by themselves, at a start that writes, what the
 * kernel or a failed mount has marked.
 */
export const checkAdvice = ({ metadata, status }: PersistentOverlay): { isWhole: boolean; lines: string[] } => {
  const { name } = metadata
  const healthy = conditionOf(status.conditions, 'Healthy')
  const [holder] = status.attachments ?? []
  const when = status.lastCheckTime ? `last checked ${status.lastCheckTime}` : 'not checked yet'
  const never =
    'A check cannot be asked for: a node makes one by itself, before a start that writes, when something is amiss.'
  if (!healthy)
    return { isWhole: false, lines: [`overlay ${name}: not known (${when}): no instance has written to it yet`, never] }
  const words = `overlay ${name}: ${healthy.reason}${healthy.message ? `: ${healthy.message}` : ''} (${when})`
  if (healthy.status === 'True') return { isWhole: true, lines: [words, never] }
  return { isWhole: false, lines: [words, nextOf(healthy.reason, name, holder?.instanceName)] }
}

const nextOf = (reason: string, name: string, holder: string | undefined): string => {
  if (reason === unhealthy.damaged)
    return `e2fsck -p has left something to you. Copy what can be read: kubectl lamina run IMAGE --overlay ${name}:ro -- tar c /home > home.tar; then docs/overlays.md, "Recover a damaged overlay"`
  return holder === undefined
    ? `The next instance that writes to it has it checked: kubectl lamina run IMAGE --overlay ${name} -- true`
    : `Its next start has it checked: kubectl lamina stop ${holder} && kubectl lamina start ${holder}`
}
