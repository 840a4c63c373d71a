import { expect, test } from 'vitest'
import { objectMetadataSchema } from '../../../kube/resource.ts'
import type { Event, Node } from '../../../kube/resources.ts'
import { findingsOfInstallation, type Installation } from './installation.ts'

const node = (name: string, label: string | undefined, ready = 'True'): Node => ({
  metadata: objectMetadataSchema.parse({ name, labels: label === undefined ? {} : { 'lamina.dev/ready': label } }),
  status: { conditions: [{ type: 'Ready', status: ready }] },
})

const refusal: Event = {
  metadata: objectMetadataSchema.parse({ name: 'e' }),
  involvedObject: { kind: 'Node', name: 'old' },
  type: 'Warning',
  reason: 'HandlerRefused',
  message: 'the kernel has no squashfs',
}

const whole: Installation = {
  hasKinds: true,
  controllers: [
    {
      namespace: 'lamina-system',
      name: 'lamina-controller',
      replicas: 2,
      ready: 2,
      guarded: { status: 'True', message: '' },
    },
  ],
  agents: [{ namespace: 'lamina-system', name: 'lamina-agent', desired: 1, ready: 1 }],
  agentNodes: new Set(['worker', 'dead', 'bare', 'old']),
  hasRuntimeClass: true,
  nodes: [node('worker', 'true')],
  nodeEvents: [],
}

const wrong = (seen: Partial<Installation>): string[] =>
  findingsOfInstallation({ ...whole, ...seen }).flatMap(({ level, subject, what }) =>
    level === 'wrong' ? [`${subject}: ${what}`] : [],
  )

test('a whole installation has nothing wrong', () => {
  expect(wrong({})).toEqual([])
  expect(findingsOfInstallation(whole).map(({ level }) => level)).toEqual(['ok', 'ok', 'ok'])
})

test('a cluster without the kinds is told as that alone', () => {
  expect(wrong({ hasKinds: false, controllers: [], agents: [] })).toEqual([
    "installation: the cluster does not know Lamina's kinds: it is not installed here",
  ])
})

test('a controller that is down, policies that are missing, agents that are not ready', () => {
  const [controller] = whole.controllers ?? []
  if (!controller) throw new Error('there is one')
  const guarded = { status: 'False', message: 'admission policies that are missing: lamina-claims' }
  expect(wrong({ controllers: [{ ...controller, ready: 0, guarded }] })).toEqual([
    'installation: controller lamina-system/lamina-controller: none of 2 is ready, so nothing is started, stopped or told',
    'installation: admission policies that are missing: lamina-claims',
  ])
  expect(wrong({ agents: [{ namespace: 'n', name: 'a', desired: 3, ready: 2 }] })).toEqual([
    'installation: agents n/a: ready on 2 of 3 nodes',
  ])
})

test('a node that takes no instances says why', () => {
  expect(wrong({ nodes: [node('worker', 'true'), node('old', 'false')], nodeEvents: [refusal] })).toEqual([
    'node/old: takes no instances: the kernel has no squashfs',
  ])
  expect(wrong({ nodes: [node('dead', 'true', 'Unknown')] })).toContain('node/dead: its kubelet does not answer')
  expect(wrong({ nodes: [node('bare', undefined)] })).toContain(
    'installation: no node takes instances, so none is scheduled',
  )
})

test('what one may not see is no fault', () => {
  const blind = {
    controllers: undefined,
    agents: undefined,
    agentNodes: undefined,
    hasRuntimeClass: undefined,
    nodes: undefined,
  }
  expect(wrong(blind)).toEqual([])
  expect(findingsOfInstallation({ ...whole, ...blind })).toHaveLength(4)
})

test('agents that no node is to have are told, and a label that one has left behind is no agent', () => {
  const none = { agents: [{ namespace: 'n', name: 'a', desired: 0, ready: 0 }], agentNodes: new Set<string>() }
  expect(wrong(none)).toEqual([
    'installation: agents n/a: no node is to have one, so no instance starts',
    'node/worker: it has the label lamina.dev/ready=true, and no agent that is ready: what is scheduled there does not start',
  ])
})
