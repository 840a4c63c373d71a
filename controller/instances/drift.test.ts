import { describe, expect, test } from 'vitest'
import { condition, genInstance, genOverlay } from '../../test/gen/objects.ts'
import { genWorld } from '../../test/gen/world.ts'
import { driftOf } from './drift.ts'

const edited = (conditions: object[]) =>
  genInstance('dev', {
    metadata: { generation: 2 },
    spec: { overlays: [{ name: 'work' }] },
    status: { observedGeneration: 1, conditions },
  })
const upToDate = (observedGeneration: number) => [
  { ...condition('UpToDate', 'True', 'AsSpecified'), observedGeneration },
]

describe('an instance that runs, and whose image is missing', () => {
  const drift = (conditions: object[]) => {
    const instance = edited(conditions)
    return driftOf(genWorld({ instances: [instance], overlays: [genOverlay('work')] }), instance, 'hash')
  }

  test('is not told to be as specified once its spec has changed', () => {
    expect(drift(upToDate(1))).toMatchObject({ kind: 'unknown', trouble: { reason: 'ImageNotFound' } })
  })

  test('stays as specified when it was before the image went', () => {
    expect(drift(upToDate(2))).toEqual({ kind: 'none' })
  })

  test('nor is it later, of the same spec', () => {
    const restart = [{ ...condition('UpToDate', 'False', 'RestartRequired'), observedGeneration: 2 }]
    expect(drift(restart)).toMatchObject({ kind: 'unknown' })
  })
})
