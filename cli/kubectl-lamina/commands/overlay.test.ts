import { expect, test } from 'vitest'
import { genOverlay } from '../../../test/gen/objects.ts'
import { holdersOf } from './overlay.ts'

const heldBy = (access: string, ...names: string[]) =>
  genOverlay('tools', {
    status: {
      attachments: names.map((instanceName) => ({
        ...{ instanceName, instanceUID: instanceName, podUID: instanceName, access },
        attachTime: '2026-01-01T00:00:00Z',
      })),
    },
  })

test('its writer, or the first few of its readers and how many more', () => {
  expect(holdersOf(heldBy('ReadWrite'))).toBe('-')
  expect(holdersOf(heldBy('ReadWrite', 'dev'))).toBe('dev')
  expect(holdersOf(heldBy('ReadOnly', 'a', 'b', 'c'))).toBe('a:ro,b:ro,c:ro')
  expect(holdersOf(heldBy('ReadOnly', 'a', 'b', 'c', 'd', 'e'))).toBe('a:ro,b:ro,c:ro,+2')
})
