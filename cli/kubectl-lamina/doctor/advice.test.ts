import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { nodeReasons } from '../../../kube/node-reasons.ts'
import { adviceFor, isAdvised } from './advice.ts'

const subject = { name: 'dev', namespace: 'team', overlay: 'data', image: 'debian' }
const conditionSchema = z.object({ status: z.string(), reason: z.string() })
const root = join(import.meta.dirname, '../../..')

describe('there is an advice for each reason', () => {
  test.each(Object.keys(nodeReasons))('of the node: %s', (reason) => {
    expect(isAdvised(reason)).toBe(true)
  })

  test('of the controller: all that its health checks for Argo CD have examples of', () => {
    const files = globSync('gitops/argocd/lamina.dev/*/testdata/*.yaml', { cwd: root })
    const told = z.object({ status: z.object({ conditions: z.array(conditionSchema).default([]) }).prefault({}) })
    const reasons = files.flatMap((file) =>
      told
        .parse(parse(readFileSync(join(root, file), 'utf8')))
        .status.conditions.filter(({ status }) => status === 'False')
        .map(({ reason }) => reason),
    )
    const quiet = new Set([
      'None',
      'NotAsked',
      'NotResolved',
      'NotLooked',
      'AsSpecified',
      'Free',
      'Applied',
      'Used',
      'Fetching',
    ])
    const unknown = [...new Set(reasons)].filter((reason) => !quiet.has(reason) && !isAdvised(reason))
    expect(reasons.length).toBeGreaterThan(20)
    expect(unknown).toEqual([])
  })
})

test('an advice names the objects that it is about', () => {
  expect(adviceFor('OverlayNotFound', subject)).toBe('kubectl lamina overlay create data, or correct spec.overlays')
  expect(adviceFor('PodRefused', subject)).toMatch(/baseline.*class that is not there/)
  expect(adviceFor('ImageNotFound', subject)).toMatch(/edit cimg debian.*image add REFERENCE --name debian/)
  expect(adviceFor('ResolveFailed', subject)).toContain('policyJson')
  expect(adviceFor('Unschedulable', subject)).not.toContain('NAME')
})

test('of a reason that is not ours the pod tells more', () => {
  expect(adviceFor('SomethingNew', subject)).toBe('kubectl -n team describe pod dev says more')
})
