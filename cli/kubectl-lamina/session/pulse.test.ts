import { expect, test } from 'vitest'
import { createPulse } from './pulse.ts'

const start = () => {
  let now = 0
  const pulse = createPulse(() => now)
  const pass = (seconds: number): void => {
    now += seconds * 1000
  }
  return { ...pulse, pass }
}

test('who is silent for a minute is gone', () => {
  const { isLost, pass } = start()
  pass(59)
  expect(isLost(false)).toBe(false)
  pass(1)
  expect(isLost(false)).toBe(true)
})

test('output and answered pings are signs of life', () => {
  const { isLost, heard, answered, pass } = start()
  pass(50)
  heard()
  pass(50)
  answered()
  pass(50)
  expect(isLost(false)).toBe(false)
})

test('while we read nothing ourselves, silence says nothing', () => {
  const { isLost, pass } = start()
  pass(600)
  expect(isLost(true)).toBe(false)
  pass(59)
  expect(isLost(false)).toBe(false)
})

test('a command that does not read its input yet holds up the answer; a few keys do not', () => {
  const { isLost, sent, answered, pass } = start()
  sent(100_000)
  pass(600)
  expect(isLost(false)).toBe(false)
  answered()
  sent(20)
  pass(60)
  expect(isLost(false)).toBe(true)
})
