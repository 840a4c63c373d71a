import { homedir } from 'node:os'
import { join } from 'node:path'

/** Ports a cluster listens on, all on loopback. */
export interface ClusterPorts {
  etcd: number
  etcdPeer: number
  apiServer: number
  controllerManager: number
  scheduler: number
  kubelet: number
  kubeletHealth: number
  registry: number
  /** For the operator's own health and metrics, which run with the host's network here. */
  lamina: number
  secondKubelet: number
}

/** What one node of a cluster has to itself. */
export interface NodePlace {
  name: string
  /** Its configuration, and what covers the host's paths. */
  dir: string
  cgroup: string
  /** Addresses of its pods. */
  podSubnet: string
  kubeletPort: number
  kubeletHealthPort: number
  /** Name of its certificate and kubeconfig among the cluster's. */
  identity: string
  /** The line of containerd that it runs: built from source (2), or Debian's (1.6). */
  containerd: 1 | 2
}

export interface ClusterLayout {
  name: string
  stateDir: string
  ports: ClusterPorts
  serviceSubnet: string
  /** There as long as the cluster is. */
  node: NodePlace
  /** In a network of its own; comes and goes as tests want. */
  secondNode: NodePlace
}

/** Each name has ports and addresses of its own, so that clusters stand side by side; the last four are for trees beside this one. */
const indexes: Readonly<Record<string, number>> = {
  dev: 0,
  test: 1,
  scratch: 2,
  bench: 3,
  north: 4,
  east: 5,
  south: 6,
  west: 7,
}

export const clusterNames = Object.keys(indexes)

/** Where Lamina is installed. */
export const operatorNamespace = 'lamina-system'

/** @throws when the name is not one of {@link clusterNames} */
export const clusterLayout = (name: string): ClusterLayout => {
  const index = indexes[name]
  if (index === undefined) throw new Error(`no cluster "${name}": choose one of ${clusterNames.join(', ')}`)
  const base = 16_400 + index * 100
  const stateDir = `/var/lib/lamina-dev/${name}`
  const ports: ClusterPorts = {
    etcd: base,
    etcdPeer: base + 1,
    apiServer: base + 2,
    controllerManager: base + 3,
    scheduler: base + 4,
    kubelet: base + 5,
    kubeletHealth: base + 6,
    registry: base + 7,
    lamina: base + 10,
    secondKubelet: base + 20,
  }
  return {
    name,
    stateDir,
    ports,
    serviceSubnet: `10.9${index}.0.0/16`,
    node: {
      // Resolves to 127.0.0.1: a loopback address itself is refused as a node's.
      name: 'localhost',
      dir: stateDir,
      cgroup: `lamina-${name}`,
      podSubnet: `10.24${index}.0.0/24`,
      kubeletPort: ports.kubelet,
      kubeletHealthPort: ports.kubeletHealth,
      identity: 'node',
      containerd: 2,
    },
    secondNode: {
      name: 'second',
      dir: join(stateDir, 'second'),
      cgroup: `lamina-${name}-second`,
      podSubnet: `10.24${index}.1.0/24`,
      kubeletPort: ports.secondKubelet,
      // In its own network: nobody else's.
      kubeletHealthPort: ports.kubeletHealth,
      identity: 'second-node',
      containerd: 1,
    },
  }
}

export const nodesOf = ({ node, secondNode }: ClusterLayout): NodePlace[] => [node, secondNode]

/** Built binaries and images, shared by all clusters and kept over their lives. */
export const cacheDir = process.env.LAMINA_CACHE ?? join(homedir(), '.cache', 'lamina')

export const clusterFiles = ({ stateDir }: Pick<ClusterLayout, 'stateDir'>) => ({
  pki: join(stateDir, 'pki'),
  logs: join(stateDir, 'logs'),
  kubeconfig: join(stateDir, 'kubeconfig'),
  guardianPid: join(stateDir, 'guardian.pid'),
  supervisorPid: join(stateDir, 'supervisor.pid'),
  /** HTTP on a Unix socket: the supervisor's switchboard. */
  control: join(stateDir, 'control.sock'),
  registryPassword: join(stateDir, 'registry', 'password'),
  registriesConf: join(stateDir, 'registries.conf'),
  volumes: join(stateDir, 'volumes'),
  auditPolicy: join(stateDir, 'audit-policy.yaml'),
  /** One JSON object a line; of the clusters that are audited. */
  auditLog: join(stateDir, 'logs', 'audit.log'),
})

/** Host paths that the cluster's mount namespace covers with directories of its own, so that production's paths hold inside. */
export const coveredPaths = [
  '/opt/lamina',
  '/var/lib/lamina',
  '/var/lib/kubelet',
  '/var/lib/containerd',
  '/etc/containerd',
  '/etc/cni',
  // Kubelets delete the logs of pods that they do not know.
  '/var/log/pods',
  '/var/log/containers',
] as const

/** The same, as tmpfs: gone when the cluster is, as after a reboot. */
export const coveredRuntimePaths = ['/run/lamina', '/run/containerd', '/run/netns'] as const
