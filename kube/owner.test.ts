import { expect, test } from 'vitest'
import { genPod } from '../test/gen/objects.ts'
import { instanceOwnerOf } from './owner.ts'

const owner = { apiVersion: 'lamina.dev/v1alpha1', kind: 'Instance', name: 'dev', uid: 'uid-dev', controller: true }
const ownedBy = (ownerReferences: object[]) => genPod('dev', { metadata: { ownerReferences } })

test("a pod's instance is the Instance that controls it, in any version of the group", () => {
  expect(instanceOwnerOf(ownedBy([{ ...owner, kind: 'Other' }, owner]))).toEqual(owner)
  expect(instanceOwnerOf(ownedBy([{ ...owner, apiVersion: 'lamina.dev/v1' }]))?.uid).toBe('uid-dev')
})

test.each([
  ['without owners', []],
  ['of another group', [{ ...owner, apiVersion: 'lamina.dev.example/v1' }]],
  ['of another kind', [{ ...owner, kind: 'PersistentOverlay' }]],
  ['of an owner that is not its controller', [{ ...owner, controller: false }]],
])('a pod %s has none', (_what, owners) => {
  expect(instanceOwnerOf(ownedBy(owners))).toBeUndefined()
})
