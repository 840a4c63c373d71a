/**
 * The one child of catatonit, which is process 1 of the cluster's pid namespace,
 * in a mount namespace of its own: covers the host's paths, runs the components,
 * runs them again when they end, and answers on the control socket. Its end is
 * catatonit's, and with it the end of everything inside.
 *
 * usage: supervisor.ts CLUSTER FOLDER_OF_BINARIES
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { auditPolicy } from './audit.ts'
import { components, registriesConf, registryConfig } from './components.ts'
import { clusterFiles, clusterLayout } from './layout.ts'
import { becomeMachine } from './machine.ts'
import { secondNodeComponents } from './second-node.ts'
import { serveControl, superviseAll } from './supervise.ts'

const main = (): void => {
  const [name = '', bin = ''] = process.argv.slice(2)
  const layout = clusterLayout(name)
  const files = clusterFiles(layout)
  becomeMachine(layout, layout.node)
  writeFileSync(join(layout.stateDir, 'registry', 'config.yml'), registryConfig(layout))
  writeFileSync(files.registriesConf, registriesConf(layout))
  writeFileSync(files.auditPolicy, auditPolicy)
  const always = superviseAll(components(layout, bin, process.execPath), files.logs)
  for (const component of always.values()) component.start()
  const onDemand = superviseAll(secondNodeComponents(layout, bin), files.logs)
  serveControl(files.control, new Map([...always, ...onDemand]))
  // The kubelet's pods first would be kinder, but the namespace's end takes everything and costs no data.
  process.on('SIGTERM', () => process.exit(0))
}

main()
