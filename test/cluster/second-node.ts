/**
 * The cluster's second node: a machine of its own as far as mounts, processes
 * and network go. It reaches the API server and the registry, and the API
 * server reaches its kubelet, through Unix sockets. Killed, it is gone with all
 * its containers at once, as a machine is that loses power.
 *
 * usage: second-node.ts CLUSTER FOLDER_OF_BINARIES    process 1's only child in the node's namespaces
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Component, nodeComponents } from './components.ts'
import { type ClusterLayout, clusterFiles, clusterLayout } from './layout.ts'
import { becomeMachine } from './machine.ts'
import { serveControl, superviseAll } from './supervise.ts'

const socketOf = ({ secondNode }: ClusterLayout, name: string): string => join(secondNode.dir, `${name}.sock`)

/** Where its own programs are stopped and started one by one. */
export const secondControl = (layout: ClusterLayout): string => socketOf(layout, 'control')

const forward = (name: string, from: string | number, to: string | number): Component => ({
  name,
  command: [process.execPath, join(import.meta.dirname, 'forward.ts'), String(from), String(to)],
})

/** The node itself, and the outer ends of its ways out and in. */
export const secondNodeComponents = (layout: ClusterLayout, bin: string): Component[] => {
  const { ports, secondNode } = layout
  const namespaces = [
    // The volumes that the provisioner mounts later must show.
    ...(['unshare', '--mount', '--propagation', 'slave', '--pid', '--net'] as const),
    ...['--fork', '--kill-child=KILL', '--mount-proc'],
  ] as const
  const node = [process.execPath, join(import.meta.dirname, 'second-node.ts'), layout.name, bin]
  return [
    { name: 'second-node', command: [...namespaces, 'catatonit', '--', ...node], stopSignal: 'SIGKILL' },
    forward('second-api', socketOf(layout, 'api'), ports.apiServer),
    forward('second-registry', socketOf(layout, 'registry'), ports.registry),
    forward('second-kubelet', secondNode.kubeletPort, socketOf(layout, 'kubelet')),
  ]
}

/** Documentation's own (RFC 5737): it leads nowhere, but a kubelet wants an address of the node that is no loopback's. */
const address = '198.51.100.2/24'

const makeNetwork = (): void => {
  const ip = (...args: string[]) => execFileSync('ip', args)
  ip('link', 'set', 'lo', 'up')
  ip('link', 'add', 'outside', 'type', 'veth', 'peer', 'name', 'nowhere')
  ip('address', 'add', address, 'dev', 'outside')
  for (const device of ['outside', 'nowhere']) ip('link', 'set', device, 'up')
  ip('route', 'add', 'default', 'dev', 'outside')
}

const main = (): void => {
  const [name = '', bin = ''] = process.argv.slice(2)
  const layout = clusterLayout(name)
  const { ports, secondNode } = layout
  makeNetwork()
  becomeMachine(layout, secondNode)
  const inner = [
    forward('api', ports.apiServer, socketOf(layout, 'api')),
    forward('registry', ports.registry, socketOf(layout, 'registry')),
    forward('kubelet-in', socketOf(layout, 'kubelet'), secondNode.kubeletPort),
    ...nodeComponents(layout, secondNode, bin),
  ]
  const supervised = superviseAll(inner, clusterFiles(layout).logs, 'second-')
  for (const component of supervised.values()) component.start()
  serveControl(secondControl(layout), supervised)
  process.on('SIGTERM', () => process.exit(0))
}

if (import.meta.main) main()
