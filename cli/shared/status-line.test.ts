import { expect, test } from 'vitest'
import { createStatusLine } from './status-line.ts'

const screen = (isTerminal: boolean, columns = 80) => {
  const written: string[] = []
  return { written, write: (text: string) => void written.push(text), isTerminal, columns: () => columns }
}

test('elsewhere than on a terminal a line comes when something is news, or the last is a while ago', () => {
  let now = 0
  const target = screen(false)
  const line = createStatusLine(target, () => now)
  line.show('downloaded 1 MiB', { isNews: true })
  line.show('downloaded 2 MiB')
  line.show('flattening layer 1 of 2', { isNews: true })
  now = 6_000
  line.show('flattening layer 1 of 2')
  line.show('flattening layer 2 of 2')
  line.clear()
  expect(target.written).toEqual(['downloaded 1 MiB\n', 'flattening layer 1 of 2\n', 'flattening layer 2 of 2\n'])
})

test('what is said keeps its lines, and moves no cursor', () => {
  const target = screen(false)
  createStatusLine(target).say('\x1b[1Anot found:\nno such image')
  expect(target.written).toEqual(['not found:\nno such image\n'])
})

test('on a terminal one line is written anew, cut in its middle to the width, without what others use to move the cursor', () => {
  const target = screen(true, 24)
  const line = createStatusLine(target)
  line.show('\x1b[2Jfirst\nsecond and much more than fits')
  line.say('\x1b[2Jstays')
  line.clear()
  const text = target.written.join('')
  expect(text).not.toContain('\x1b[2J')
  expect(text).toContain('first se…re than fits')
  expect(text).toContain('stays\n')
  expect(text.endsWith('\r\x1b[K')).toBe(true)
})

test('a reason that is longer than a terminal is wide is said in full, once', () => {
  const target = screen(true, 40)
  const line = createStatusLine(target)
  const reason = 'dev: the API server does not take the pod: violates PodSecurity "restricted:latest"'
  line.show(reason, { isReason: true })
  line.show(reason, { isReason: true })
  line.show('dev: short', { isReason: true })
  line.clear()
  const text = target.written.join('')
  expect(text.split(`${reason}\n`)).toHaveLength(2)
  expect(text).not.toContain('dev: short\n')
})
