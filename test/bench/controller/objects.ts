import type { KubeClient } from '../../../kube/client.ts'
import type { KubeObject, Resource } from '../../../kube/resource.ts'
import { claims, instances, persistentOverlays, pods } from '../../../kube/resources.ts'
import { paperNodeSelector, paperStorageClass } from '../../cluster/kwok.ts'
import { paced } from './pace.ts'

/** What is made by the thousand, on nodes that only exist on paper. */

const size = '1Gi'
const command = ['sleep', 'infinity']
/** Of the ContainerImage that every namespace has. */
export const imageName = 'debian'

export interface Body {
  resource: Resource<KubeObject>
  body: { metadata: { name: string }; spec: object }
}

const plainPod = (name: string, image: string, claimName?: string): Body => ({
  resource: pods,
  body: {
    metadata: { name },
    spec: {
      nodeSelector: paperNodeSelector,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image, command }],
      ...(claimName === undefined ? {} : { volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }] }),
    },
  },
})

const claim = (name: string): Body => ({
  resource: claims,
  body: {
    metadata: { name },
    spec: {
      storageClassName: paperStorageClass,
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
    },
  },
})

export const overlay = (name: string): Body => ({
  resource: persistentOverlays,
  body: { metadata: { name }, spec: { size, storage: { storageClassName: paperStorageClass } } },
})

/**
 * @param state a stopped one has no pod, but all else
 * @param overlays by default the one of its name
 */
export const instance = (
  name: string,
  { state = 'Running', overlays = [name] }: { state?: 'Running' | 'Stopped'; overlays?: readonly string[] } = {},
): Body => ({
  resource: instances,
  body: {
    metadata: { name },
    spec: {
      state,
      imageRef: { name: imageName },
      overlays: overlays.map((overlayName) => ({ name: overlayName })),
      command,
      podTemplate: { spec: { nodeSelector: paperNodeSelector, terminationGracePeriodSeconds: 0 } },
    },
  },
})

/** What is compared, each by its objects and the kind whose readiness counts. */
export const subjects = {
  /** A pod and nothing else. */
  pod: { resource: pods, bodies: (name: string, image: string) => [plainPod(name, image)] },
  /** A pod with a claim of its own: as much storage as an instance has. */
  claimed: { resource: pods, bodies: (name: string, image: string) => [claim(name), plainPod(name, image, name)] },
  instance: { resource: instances, bodies: (name: string) => [overlay(name), instance(name)] },
} as const
export type Subject = keyof typeof subjects
export const subjectNames = ['pod', 'claimed', 'instance'] as const satisfies Subject[]

/** As many at once as the client has connections. */
const atOnce = 16

/**
 * Creates what each of the names stands for, those of a name in their order.
 *
 * @param perSecond as fast as it goes, if undefined
 */
export const createAll = async (
  client: KubeClient,
  namespace: string,
  names: readonly string[],
  bodiesOf: (name: string) => readonly Body[],
  perSecond?: number,
): Promise<void> => {
  const create = async (name: string): Promise<void> => {
    for (const { resource, body } of bodiesOf(name)) await client.create(resource, body, namespace)
  }
  if (perSecond !== undefined) {
    await paced(names, perSecond, create)
    return
  }
  const left = [...names].toReversed()
  const work = async (): Promise<void> => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await create(name)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

export const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
