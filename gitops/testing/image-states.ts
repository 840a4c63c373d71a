import type { PrefetchFinding } from '../../controller/images/prefetch.ts'
import type { Refresh } from '../../controller/images/refresh.ts'
import type { Finding } from '../../controller/images/resolve.ts'
import { statusAfter } from '../../controller/images/status.ts'
import type { ContainerImage } from '../../crds/container-image.ts'
import { daemonSets } from '../../kube/resources.ts'
import { digestOf, genImage, genResolved } from '../../test/gen/objects.ts'
import type { Kstatus } from './kstatus.ts'
import type { Health } from './run-health.ts'
import { failingOf, now, type State, unseenMessage } from './states.ts'

const name = 'debian'
const resolved: Finding = { kind: 'resolved', resolved: genResolved() }
const failed = (reason: string, message: string): Finding => ({ kind: 'failed', reason, message })

interface Given {
  finding: Finding
  refresh?: Refresh
  prefetch?: PrefetchFinding
  image?: ContainerImage
}

const told = (
  state: string,
  { finding, refresh = { kind: 'looked' }, prefetch = { kind: 'none' }, image = genImage(name, { status: {} }) }: Given,
  kstatus: Kstatus,
  health: Health,
): State => ({
  ...{ kind: 'ContainerImage', name: state, kstatus, health },
  object: { ...image, status: statusAfter(image, { finding, refresh, prefetch }, now) },
})

const fetching = daemonSets.parse({
  metadata: { name: 'lamina-prefetch-debian', generation: 1, labels: { 'lamina.dev/prefetch': name } },
  status: { observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 1 },
})
const asksForPrefetch = genImage(name, {
  spec: { source: { registry: { image: 'registry.example/debian:12' } }, prefetch: {} },
  status: {},
})

/** Each finding of a pass, at least once. */
export const imageFindings = {
  resolved: [
    told('resolved', { finding: resolved }, 'Current', {
      status: 'Healthy',
      message: `Resolved: registry.example/debian@${digestOf('a')}`,
    }),
    told(
      'resolvedWhileNodesFetch',
      {
        finding: resolved,
        prefetch: { kind: 'there', daemonSet: fetching, pods: [] },
        image: asksForPrefetch,
      },
      'Current',
      {
        status: 'Healthy',
        message: `Resolved: registry.example/debian@${digestOf('a')}; prefetch: Fetching: 1 of 2 nodes have the image: kubectl logs -c prepare -l lamina.dev/prefetch=debian tells more`,
      },
    ),
  ],
  failed: [
    told(
      'registryUnreachable',
      { finding: failed('RegistryUnreachable', 'registry.example does not answer') },
      'InProgress',
      { status: 'Progressing', message: 'RegistryUnreachable: registry.example does not answer' },
    ),
    told('noSuchImage', { finding: failed('ImageNotFound', 'registry.example/debian has no tag 12') }, 'InProgress', {
      status: 'Degraded',
      message: 'ImageNotFound: registry.example/debian has no tag 12',
    }),
    told('unauthorized', { finding: failed('ImageUnauthorized', 'the registry wants a password') }, 'InProgress', {
      status: 'Degraded',
      message: 'ImageUnauthorized: the registry wants a password',
    }),
  ],
  unsuitable: [
    told(
      'digestMismatch',
      { finding: { kind: 'unsuitable', reason: 'ImageDigestMismatch', message: 'the file has sha256:bb' } },
      'Failed',
      { status: 'Degraded', message: 'ImageDigestMismatch: the file has sha256:bb' },
    ),
    told(
      'referenceInvalid',
      { finding: { kind: 'unsuitable', reason: 'ImageReferenceInvalid', message: '"docker://a" is no reference' } },
      'Failed',
      { status: 'Degraded', message: 'ImageReferenceInvalid: "docker://a" is no reference' },
    ),
    told(
      'claimUnsuitable',
      { finding: { kind: 'unsuitable', reason: 'ClaimUnsuitable', message: 'claim images has volumeMode Block' } },
      'Failed',
      { status: 'Degraded', message: 'ClaimUnsuitable: claim images has volumeMode Block' },
    ),
  ],
  notAllowed: [
    told(
      'sourceNotAllowed',
      { finding: { kind: 'notAllowed', reason: 'SourceNotAllowed', message: 'files may not be used in team' } },
      'Failed',
      { status: 'Degraded', message: 'SourceNotAllowed: files may not be used in team' },
    ),
    told(
      'refusedByPolicy',
      { finding: { kind: 'notAllowed', reason: 'ImageRefusedByPolicy', message: 'no signature exists' } },
      'Failed',
      { status: 'Degraded', message: 'ImageRefusedByPolicy: no signature exists' },
    ),
  ],
} satisfies Record<Finding['kind'], State[]>

export const failingImage: State = failingOf(
  'ContainerImage',
  genImage(name, { status: {} }),
  statusAfter(
    genImage(name, { status: {} }),
    { finding: resolved, refresh: { kind: 'looked' }, prefetch: { kind: 'none' } },
    now,
  ),
)

const unseen = (state: string, image: ContainerImage): State => ({
  ...{ kind: 'ContainerImage', name: state, kstatus: 'InProgress', object: image },
  health: { status: 'Progressing', message: unseenMessage },
})

/** Between two passes. */
export const unseenImages: State[] = [
  unseen('created', genImage(name, { status: { observedGeneration: -1 } })),
  unseen(
    'edited',
    genImage(name, {
      metadata: { generation: 2 },
      status: statusAfter(
        genImage(name, { status: {} }),
        { finding: resolved, refresh: { kind: 'looked' }, prefetch: { kind: 'none' } },
        now,
      ),
    }),
  ),
]
