import { expect, test } from 'vitest'
import { persistentOverlaySchema } from '../../../crds/persistent-overlay.ts'
import { checkAdvice } from './overlay-check.ts'

const overlay = (reason?: string, status = 'False', holder?: string) =>
  persistentOverlaySchema.parse({
    metadata: { name: 'data' },
    spec: {},
    status: {
      lastCheckTime: '2026-01-01T00:00:00Z',
      ...(holder
        ? { attachments: [{ instanceUID: '1', instanceName: holder, access: 'ReadWrite', attachTime: '' }] }
        : {}),
      conditions: reason
        ? [{ type: 'Healthy', status, reason, message: 'as it is said', lastTransitionTime: '2026-01-01T00:00:00Z' }]
        : [],
    },
  })

test('a whole overlay says so, and when it was checked', () => {
  const { isWhole, lines } = checkAdvice(overlay('Clean', 'True'))
  expect(isWhole).toBe(true)
  expect(lines[0]).toBe('overlay data: Clean: as it is said (last checked 2026-01-01T00:00:00Z)')
  expect(lines[1]).toContain('cannot be asked for')
})

test('an overlay that nobody has written to is not known to be whole', () => {
  expect(checkAdvice(overlay()).isWhole).toBe(false)
})

test.each([
  ['FileSystemErrors', 'dev', 'kubectl lamina stop dev && kubectl lamina start dev'],
  ['CheckNeeded', undefined, 'kubectl lamina run IMAGE --overlay data -- true'],
  ['FileSystemDamaged', undefined, '--overlay data:ro'],
])('%s held by %s is mended by what the next line says', (reason, holder, next) => {
  const { isWhole, lines } = checkAdvice(overlay(reason, 'False', holder))
  expect(isWhole).toBe(false)
  expect(lines.at(-1)).toContain(next)
})
