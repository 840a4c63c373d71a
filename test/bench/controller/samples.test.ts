import { expect, test } from 'vitest'
import { metricsOf } from './samples.ts'

const samples = metricsOf(`# HELP passes Passes.
# TYPE passes counter
passes{controller="pod",result="success"} 4
passes{controller="pod",result="error"} 1
passes{controller="instance",result="success"} 8
up 1
`)

test('series of a name are added up, those of a label too', () => {
  expect(samples.sum('passes')).toBe(13)
  expect(samples.sum('passes', { controller: 'pod' })).toBe(5)
  expect(samples.sum('up')).toBe(1)
  expect(samples.sum('absent')).toBe(0)
})

test('by the value of a label', () => {
  expect(samples.by('passes', 'controller')).toEqual({ pod: 5, instance: 8 })
})
