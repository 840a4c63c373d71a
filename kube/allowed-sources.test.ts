import { describe, expect, test } from 'vitest'
import { allowedSourcesField, isAllowed, notAllowed, sourceKindOf } from './allowed-sources.ts'

describe('allowedSources', () => {
  test('left out: images from everywhere, and no file system that others wrote upon', () => {
    const allowed = allowedSourcesField.parse(undefined)
    expect(isAllowed(allowed, 'file', 'team')).toBe(true)
    expect(isAllowed(allowed, 'volume', 'team')).toBe(true)
    expect(isAllowed(allowed, 'existingClaim', 'team')).toBe(false)
    expect(isAllowed(allowed, 'ext3Base', 'team')).toBe(false)
  })

  test.each([
    ['the namespace', ['team'], true],
    ['all', ['*'], true],
    ['another namespace', ['teams'], false],
    ['nobody', [], false],
  ])('for %s', (_, existingClaim, expected) => {
    const allowed = allowedSourcesField.parse(JSON.stringify({ existingClaim }))
    expect(isAllowed(allowed, 'existingClaim', 'team')).toBe(expected)
  })

  test('a misspelt kind is no silent nothing', () => {
    expect(() => allowedSourcesField.parse('{"files":["*"]}')).toThrow(/files/)
  })

  test('what is refused names what an administrator must set', () => {
    expect(notAllowed('existingClaim', 'team')).toMatch(/namespace team.*allowedSources\.existingClaim/)
  })
})

test.each([
  ['docker.io/library/debian@sha256:0', undefined],
  ['https://example.com/x@sha256:0', 'file'],
  ['oras://example.com/x@sha256:0', 'file'],
  ['volume://images/x@sha256:0', 'volume'],
])('%s needs leave for %s', (reference, kind) => {
  expect(sourceKindOf(reference)).toBe(kind)
})
