import { describe, expect, test } from 'vitest'
import type { Condition } from '../crds/common.ts'
import { containerImageSchema } from '../crds/container-image.ts'
import { instanceSchema } from '../crds/instance.ts'
import { persistentOverlaySchema } from '../crds/persistent-overlay.ts'
import { findings, unseen } from './generate.ts'
import { kstatusOf } from './testing/kstatus.ts'
import type { State } from './testing/states.ts'

const schemas = {
  ContainerImage: containerImageSchema,
  PersistentOverlay: persistentOverlaySchema,
  Instance: instanceSchema,
}
const stored = ({ kind, object }: State) => schemas[kind].parse(object)
const conditionsOf = (state: State): Condition[] => stored(state).status.conditions ?? []
const named = (states: readonly State[]) => states.map((state) => ({ ...state, state }))

describe('what kstatus sees', () => {
  test.each(named([...findings, ...unseen]))('$kind $name: $kstatus', ({ state, kstatus }) => {
    expect(kstatusOf(stored(state))).toBe(kstatus)
  })

  test.each(named(findings))('$kind $name, being deleted: Terminating', ({ object }) => {
    const metadata = { ...object.metadata, deletionTimestamp: '2026-01-01T12:00:00Z' }
    expect(kstatusOf({ ...object, metadata })).toBe('Terminating')
  })

  test.each(named(findings))('$kind $name, edited since: InProgress', ({ object }) => {
    expect(kstatusOf({ ...object, metadata: { ...object.metadata, generation: 2 } })).toBe('InProgress')
  })
})

describe('after any pass, whatever it came to', () => {
  test.each(named(findings))('$kind $name', ({ state }) => {
    const { metadata, status } = stored(state)
    expect(status.observedGeneration).toBe(metadata.generation)
    const conditions = conditionsOf(state)
    const ours = ['Ready', 'Reconciling', 'Stalled'].map((type) => conditions.find((each) => each.type === type))
    expect(
      ours.filter((each) => each?.status === 'True'),
      'exactly one of Ready, Reconciling and Stalled is True',
    ).toHaveLength(1)
    for (const each of ours) expect(each).toMatchObject({ reason: expect.stringMatching(/^[A-Z][A-Za-z]+$/) })
    expect(conditions.every(({ observedGeneration }) => observedGeneration === metadata.generation)).toBe(true)
  })
})

test('Argo CD says nothing worse or better than kstatus, but of what waits for somebody', () => {
  const same = { InProgress: 'Progressing', Failed: 'Degraded', Current: 'Healthy', Terminating: 'Progressing' }
  const other = [...findings, ...unseen]
    .filter(({ kstatus, health }) => same[kstatus] !== health.status)
    .map(({ kind, name, kstatus, health }) => `${kind} ${name}: ${kstatus}, ${health.status}`)
  expect(other.toSorted()).toEqual([
    'ContainerImage noSuchImage: InProgress, Degraded',
    'ContainerImage unauthorized: InProgress, Degraded',
    'Instance crashes: InProgress, Degraded',
    'Instance idle: Current, Suspended',
    'Instance podRefused: InProgress, Degraded',
    'Instance startFailed: InProgress, Degraded',
    'Instance stopped: Current, Suspended',
    'PersistentOverlay claimRefused: InProgress, Degraded',
    'PersistentOverlay damaged: Current, Degraded',
    'PersistentOverlay errorsNoted: Current, Degraded',
  ])
})
