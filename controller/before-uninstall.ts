import * as z from 'zod'
import { createClient, loadConfig } from '../kube/client.ts'
import { systemClock } from '../kube/clock.ts'
import { labels, releaseFinalizer } from '../kube/names.ts'
import { keyOf } from '../kube/resource.ts'
import { pods } from '../kube/resources.ts'
import { stopSignal } from '../kube/stop.ts'
import { removePrefetches } from './images/remove-prefetches.ts'

const environmentSchema = z.object({ POD_NAMESPACE: z.string().min(1), KEEP_COMMAND: z.string().min(1) })

/**
 * Helm's hook before an uninstallation: fails while instances have pods. These
 * would run on without the operator, but could not end: nobody would prove
 * their overlays free and take their finalizer off. Then removes what nobody
 * would remove later: the prefetches' DaemonSets.
 */
const main = async (): Promise<void> => {
  const { POD_NAMESPACE: namespace, KEEP_COMMAND: keepCommand } = environmentSchema.parse(process.env)
  const client = createClient(loadConfig(), { userAgent: 'lamina-before-uninstall' })
  const found = await client.list(pods, { labelSelector: labels.instance })
  const held = found.filter(({ metadata }) => metadata.finalizers.includes(releaseFinalizer)).map(keyOf)
  if (held.length === 0) {
    await removePrefetches({ client, clock: systemClock, namespace, signal: stopSignal(process) })
    return
  }
  const named = [...held.slice(0, 10), ...(held.length > 10 ? [`${held.length - 10} more`] : [])].join(', ')
  // One line: Helm shows it as a line of its log.
  process.stderr.write(
    `Lamina stays installed, for pods of instances could not end without it: ${named}. ` +
      'Stop or delete these instances first: their overlays keep all data. Or uninstall with --no-hooks: ' +
      'the pods run on, and their deletion waits until Lamina is installed again. ' +
      `To keep the release as it was: ${keepCommand}\n`,
  )
  process.exitCode = 1
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
