import { expect, test } from 'vitest'
import { isSameCause, withCausesOnce } from './causes.ts'
import type { Finding } from './finding.ts'

const wrong = (subject: string, what: string): Finding => ({ subject, level: 'wrong', what, next: 'mend it' })

const image = wrong('image/debian', 'ImageNotFound: no such tag: 13')
const waiting = (name: string): Finding =>
  wrong(`instance/${name}`, 'ImageNotFound: ContainerImage "debian": no such tag: 13')

test('what an image says, an instance that waits for it says with its name', () => {
  expect(isSameCause(waiting('dev'), image)).toBe(true)
  expect(isSameCause(wrong('instance/dev', 'Unschedulable: no node'), image)).toBe(false)
  expect(isSameCause(waiting('dev'), wrong('image/other', 'ImageNotFound: no such tag: 13'))).toBe(false)
})

test('a cause is told once, with whom it keeps from starting', () => {
  const other = wrong('instance/other', 'Unschedulable: no node')
  expect(withCausesOnce([waiting('dev'), other, waiting('web')], [image])).toEqual([
    other,
    { ...image, what: 'ImageNotFound: no such tag: 13 (instance/dev, instance/web cannot start for it)' },
  ])
  const many = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(waiting)
  expect(withCausesOnce(many, [image])[0]?.what).toContain('instance/e and 2 more cannot start')
})
