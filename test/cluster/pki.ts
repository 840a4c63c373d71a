import { access, chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { stringify } from 'yaml'
import { type ClusterLayout, clusterFiles, nodesOf } from './layout.ts'

interface Identity {
  file: string
  commonName: string
  organization?: string
  altNames?: string
}

const identities = (layout: ClusterLayout): Identity[] => [
  {
    file: 'apiserver',
    commonName: 'kube-apiserver',
    altNames: 'DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1',
  },
  { file: 'apiserver-kubelet-client', commonName: 'kube-apiserver-kubelet-client', organization: 'system:masters' },
  { file: 'admin', commonName: 'admin', organization: 'system:masters' },
  { file: 'controller-manager', commonName: 'system:kube-controller-manager' },
  { file: 'scheduler', commonName: 'system:kube-scheduler' },
  ...nodesOf(layout).flatMap(({ name, identity }) => [
    { file: identity, commonName: `system:node:${name}`, organization: 'system:nodes' },
    { file: `${identity}-server`, commonName: name, altNames: `DNS:${name},IP:127.0.0.1` },
  ]),
]

const openssl = (...args: string[]) => execa('openssl', args)

/** Elliptic curves: made in a millisecond, where RSA takes a tenth of a second each. */
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

const issue = async (dir: string, { file, commonName, organization, altNames }: Identity): Promise<void> => {
  const path = (ending: string) => join(dir, `${file}.${ending}`)
  const subject = `${organization ? `/O=${organization}` : ''}/CN=${commonName}`
  const extensions = ['extendedKeyUsage=serverAuth,clientAuth', ...(altNames ? [`subjectAltName=${altNames}`] : [])]
  await writeFile(path('ext'), extensions.join('\n'))
  await openssl('req', ...newKey, '-keyout', path('key'), '-subj', subject, '-out', path('csr'))
  await openssl(
    ...['x509', '-req', '-days', '3650', '-in', path('csr'), '-CA', join(dir, 'ca.crt'), '-CAkey', join(dir, 'ca.key')],
    ...['-CAcreateserial', '-extfile', path('ext'), '-out', path('crt')],
  )
}

/** A kubeconfig that uses the certificate `file` of the cluster's own authority. */
const kubeconfig = ({ ports }: ClusterLayout, dir: string, file: string, name: string): string =>
  stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name,
        cluster: { server: `https://127.0.0.1:${ports.apiServer}`, 'certificate-authority': join(dir, 'ca.crt') },
      },
    ],
    users: [
      {
        name: file,
        user: { 'client-certificate': join(dir, `${file}.crt`), 'client-key': join(dir, `${file}.key`) },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: file } }],
    'current-context': name,
  })

/** Makes the cluster's certificate authority, every component's certificate and the kubeconfigs, once in a cluster's life. */
export const ensurePki = async (layout: ClusterLayout): Promise<void> => {
  const files = clusterFiles(layout)
  const dir = files.pki
  const made = join(dir, 'complete-with-second-node')
  if (
    await access(made).then(
      () => true,
      () => false,
    )
  )
    return

  await mkdir(dir, { recursive: true, mode: 0o700 })
  await openssl(
    ...['req', '-x509', ...newKey, '-days', '3650', '-subj', `/CN=lamina-${layout.name}-ca`],
    ...['-keyout', join(dir, 'ca.key'), '-out', join(dir, 'ca.crt')],
  )
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', join(dir, 'service-accounts.key'))
  for (const identity of identities(layout)) await issue(dir, identity)
  for (const file of ['controller-manager', 'scheduler', ...nodesOf(layout).map(({ identity }) => identity)]) {
    await writeFile(join(dir, `${file}.kubeconfig`), kubeconfig(layout, dir, file, layout.name))
  }
  await writeFile(files.kubeconfig, kubeconfig(layout, dir, 'admin', `lamina-${layout.name}`))
  await chmod(files.kubeconfig, 0o600)
  await writeFile(made, '')
}
