import { createClient, loadConfig } from '../kube/client.ts'
import { labels, releaseFinalizer } from '../kube/names.ts'
import { keyOf } from '../kube/resource.ts'
import { pods } from '../kube/resources.ts'

/**
 * Helm's hook before an uninstallation: fails while instances have pods. These
 * would run on without the operator, but could not end: nobody would prove
 * their overlays free and take their finalizer off.
 */
const main = async (): Promise<void> => {
  const client = createClient(loadConfig(), { userAgent: 'lamina-before-uninstall' })
  const found = await client.list(pods, { labelSelector: labels.instance })
  const held = found.filter(({ metadata }) => metadata.finalizers.includes(releaseFinalizer)).map(keyOf)
  if (held.length === 0) return
  const named = [...held.slice(0, 10), ...(held.length > 10 ? [`${held.length - 10} more`] : [])].join(', ')
  // One line: Helm shows it as a line of its log.
  process.stderr.write(
    `Lamina stays installed, for pods of instances could not end without it: ${named}. ` +
      'Stop or delete these instances first: their overlays keep all data. Or uninstall with --no-hooks: ' +
      'the pods run on, and their deletion waits until Lamina is installed again. ' +
      `To keep the release as it was: ${process.env.KEEP_COMMAND}\n`,
  )
  process.exitCode = 1
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
