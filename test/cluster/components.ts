import { join } from 'node:path'
import { stringify } from 'yaml'
import { auditFlags } from './audit.ts'
import { debianContainerd } from './debian-containerd.ts'
import { type ClusterLayout, clusterFiles, type NodePlace } from './layout.ts'

/** One program of the cluster, run and run again by the supervisor. */
export interface Component {
  name: string
  command: readonly [string, ...string[]]
  env?: NodeJS.ProcessEnv
  /** Signal that ends it; some lose nothing by SIGKILL and are quicker so. */
  stopSignal?: NodeJS.Signals
}

export const sandboxImage = 'lamina.local/pause:1'

const flags = (values: Record<string, string | number | boolean>): string[] =>
  Object.entries(values).map(([name, value]) => `--${name}=${value}`)

/** The cluster's programs in the order of their start. */
export const components = (layout: ClusterLayout, bin: string, node: string): Component[] => {
  const { stateDir, ports } = layout
  const { pki } = clusterFiles(layout)
  const kube = join(bin, 'kube')
  const certificate = (file: string) => join(pki, file)
  const etcdURL = `http://127.0.0.1:${ports.etcd}`
  const peerURL = `http://127.0.0.1:${ports.etcdPeer}`

  return [
    {
      name: 'etcd',
      command: [
        kube,
        'etcd',
        ...flags({
          'data-dir': join(stateDir, 'etcd'),
          'listen-client-urls': etcdURL,
          'advertise-client-urls': etcdURL,
          'listen-peer-urls': peerURL,
          'initial-advertise-peer-urls': peerURL,
          'initial-cluster': `default=${peerURL}`,
          'unsafe-no-fsync': true,
        }),
      ],
    },
    {
      name: 'kube-apiserver',
      command: [
        kube,
        'kube-apiserver',
        ...flags({
          'etcd-servers': etcdURL,
          'bind-address': '127.0.0.1',
          'advertise-address': '127.0.0.1',
          'secure-port': ports.apiServer,
          'client-ca-file': certificate('ca.crt'),
          'tls-cert-file': certificate('apiserver.crt'),
          'tls-private-key-file': certificate('apiserver.key'),
          'service-account-key-file': certificate('service-accounts.key'),
          'service-account-signing-key-file': certificate('service-accounts.key'),
          'service-account-issuer': 'https://kubernetes.default.svc',
          'authorization-mode': 'Node,RBAC',
          'enable-admission-plugins': 'NodeRestriction',
          'anonymous-auth': false,
          'allow-privileged': true,
          'service-cluster-ip-range': layout.serviceSubnet,
          'kubelet-certificate-authority': certificate('ca.crt'),
          'kubelet-client-certificate': certificate('apiserver-kubelet-client.crt'),
          'kubelet-client-key': certificate('apiserver-kubelet-client.key'),
          'kubelet-preferred-address-types': 'Hostname',
          'endpoint-reconciler-type': 'none',
          ...auditFlags(layout),
        }),
      ],
    },
    {
      name: 'kube-controller-manager',
      command: [
        kube,
        'kube-controller-manager',
        ...flags({
          kubeconfig: certificate('controller-manager.kubeconfig'),
          'authentication-kubeconfig': certificate('controller-manager.kubeconfig'),
          'authorization-kubeconfig': certificate('controller-manager.kubeconfig'),
          // It may start before the API server is there.
          'authentication-tolerate-lookup-failure': true,
          'bind-address': '127.0.0.1',
          'secure-port': ports.controllerManager,
          'service-account-private-key-file': certificate('service-accounts.key'),
          'root-ca-file': certificate('ca.crt'),
          'use-service-account-credentials': true,
          'leader-elect': false,
          'kube-api-qps': 1000,
          'kube-api-burst': 2000,
        }),
      ],
    },
    {
      name: 'kube-scheduler',
      command: [
        kube,
        'kube-scheduler',
        ...flags({
          kubeconfig: certificate('scheduler.kubeconfig'),
          'authentication-kubeconfig': certificate('scheduler.kubeconfig'),
          'authorization-kubeconfig': certificate('scheduler.kubeconfig'),
          'bind-address': '127.0.0.1',
          'secure-port': ports.scheduler,
          'leader-elect': false,
          'kube-api-qps': 1000,
          'kube-api-burst': 2000,
        }),
      ],
    },
    ...nodeComponents(layout, layout.node, bin),
    {
      name: 'registry',
      command: ['docker-registry', 'serve', join(stateDir, 'registry', 'config.yml')],
      stopSignal: 'SIGKILL',
    },
    {
      name: 'provisioner',
      command: [node, join(import.meta.dirname, 'provisioner.ts'), layout.name],
    },
  ]
}

/** Its shim lies beside it. */
const containerdComponent = (dir: string): Component => ({
  name: 'containerd',
  command: [join(dir, 'containerd'), '--config', '/etc/containerd/config.toml'],
  env: { PATH: `${dir}:${process.env.PATH}` },
})

/** A node's own programs, in the order of their start. */
export const nodeComponents = (
  layout: ClusterLayout,
  { name, dir, identity, containerd }: NodePlace,
  bin: string,
): [containerd: Component, kubelet: Component] => [
  containerdComponent(containerd === 1 ? debianContainerd : bin),
  {
    name: 'kubelet',
    command: [
      join(bin, 'kube'),
      'kubelet',
      ...flags({
        config: join(dir, 'kubelet.yaml'),
        kubeconfig: join(clusterFiles(layout).pki, `${identity}.kubeconfig`),
        'hostname-override': name,
        'root-dir': '/var/lib/kubelet',
      }),
    ],
  },
]

const containerdConfigs: Record<NodePlace['containerd'], string> = {
  1: `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandboxImage}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
`,
  2: `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
imports = ["/etc/containerd/conf.d/*.toml"]

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${sandboxImage}"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
`,
}

export const containerdConfig = ({ containerd }: NodePlace): string => containerdConfigs[containerd]

export const kubeletConfig = (layout: ClusterLayout, node: NodePlace): string => {
  const { pki } = clusterFiles(layout)
  return stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: '127.0.0.1',
    port: node.kubeletPort,
    healthzPort: node.kubeletHealthPort,
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${node.cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(pki, 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(pki, `${node.identity}-server.crt`),
    tlsPrivateKeyFile: join(pki, `${node.identity}-server.key`),
    enforceNodeAllocatable: [],
    // Its rules would stay in the host's tables.
    makeIPTablesUtilChains: false,
    evictionHard: { 'memory.available': '100Mi' },
    maxPods: 250,
    resolvConf: '/etc/resolv.conf',
    syncFrequency: '10s',
    registryPullQPS: 0,
    // An operator's image stays although no pod uses it for a while.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    kubeAPIQPS: 200,
    kubeAPIBurst: 400,
  })
}

/** Point-to-point interfaces: no bridge is left behind when the pods are gone. */
export const cniConfig = ({ podSubnet }: NodePlace): string =>
  JSON.stringify({
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: podSubnet }]],
          dataDir: '/run/containerd/cni-addresses',
        },
      },
    ],
  })

export const registryConfig = (layout: ClusterLayout): string =>
  stringify({
    version: 0.1,
    storage: { filesystem: { rootdirectory: join(layout.stateDir, 'registry', 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${layout.ports.registry}` },
    auth: { htpasswd: { realm: 'lamina', path: join(layout.stateDir, 'registry', 'htpasswd') } },
    log: { level: 'warn', accesslog: { disabled: false } },
  })

/** Debian's images come from the cluster's own registry, under the name that the world knows them by. */
export const registriesConf = ({ ports }: ClusterLayout): string => `unqualified-search-registries = ["docker.io"]

[[registry]]
prefix = "docker.io"
location = "127.0.0.1:${ports.registry}"
insecure = true

[[registry]]
location = "127.0.0.1:${ports.registry}"
insecure = true
`
