import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cniConfig, containerdConfig, kubeletConfig } from './components.ts'
import { type ClusterLayout, coveredPaths, coveredRuntimePaths, type NodePlace, nodesOf } from './layout.ts'

/** Makes the calling process's mount namespace look like a machine of its own. */

const mount = (...args: string[]) => execFileSync('mount', args)

/** Nodes are found by name, also by the API server, which refuses loopback addresses as such. */
const coverHosts = (layout: ClusterLayout, dir: string): void => {
  const names = nodesOf(layout).map(({ name }) => name)
  const file = join(dir, 'hosts')
  writeFileSync(file, `127.0.0.1 ${names.join(' ')}\n${readFileSync('/etc/hosts', 'utf8')}`)
  mount('--bind', file, '/etc/hosts')
}

const coverPaths = (dir: string): void => {
  for (const path of coveredPaths) {
    const own = join(dir, 'host', path)
    mkdirSync(own, { recursive: true })
    mkdirSync(path, { recursive: true })
    mount('--bind', own, path)
  }
  for (const path of coveredRuntimePaths) {
    mkdirSync(path, { recursive: true })
    mount('-t', 'tmpfs', '-o', 'mode=0755', 'none', path)
  }
}

/** Covers the host's paths, and writes the configuration of the node's programs where production has it. */
export const becomeMachine = (layout: ClusterLayout, node: NodePlace): void => {
  mount('--make-rshared', '/')
  mkdirSync(node.dir, { recursive: true })
  coverHosts(layout, node.dir)
  coverPaths(node.dir)
  mkdirSync('/etc/containerd/conf.d', { recursive: true })
  mkdirSync('/etc/cni/net.d', { recursive: true })
  writeFileSync('/etc/containerd/config.toml', containerdConfig(node))
  writeFileSync('/etc/cni/net.d/10-pods.conflist', cniConfig(node))
  writeFileSync(join(node.dir, 'kubelet.yaml'), kubeletConfig(layout, node))
}
