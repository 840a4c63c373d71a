import { expect, test } from 'vitest'
import { createAttempts } from './attempts.ts'

const pace = { firstMs: 100, longestMs: 500 }

const createBench = () => {
  let now = 1_000
  const attempts = createAttempts({ monotonicMs: () => now })
  return {
    attempts,
    pass: (ms: number) => {
      now += ms
    },
  }
}

test('each try without success makes the next wait twice as long, up to a limit', () => {
  const { attempts } = createBench()
  const waits = Array.from({ length: 5 }, () => attempts.next('pod', pace))
  expect(waits.map(({ waitMs }) => waitMs)).toEqual([100, 200, 400, 500, 500])
  expect(waits.map(({ count }) => count)).toEqual([1, 2, 3, 4, 5])
})

test('a pod is not tried before its time, whatever calls for it', () => {
  const { attempts, pass } = createBench()
  expect(attempts.remainingMs('pod')).toBe(0)
  attempts.next('pod', pace)
  expect(attempts.remainingMs('pod')).toBe(100)
  pass(60)
  expect(attempts.remainingMs('pod')).toBe(40)
  pass(60)
  expect(attempts.remainingMs('pod')).toBe(0)
  expect(attempts.remainingMs('another')).toBe(0)
})

test('a success forgets what was before', () => {
  const { attempts } = createBench()
  attempts.next('pod', pace)
  attempts.forget('pod')
  expect(attempts.remainingMs('pod')).toBe(0)
  expect(attempts.next('pod', pace)).toEqual({ count: 1, waitMs: 100 })
})

test('of many that have gone for good, none is remembered for ever', () => {
  const { attempts, pass } = createBench()
  for (let i = 0; i < 1_000; i++) attempts.next(`gone-${i}`, pace)
  pass(3_600_000)
  attempts.next('kept', pace)
  pass(1_000)
  attempts.next('another', pace)
  expect(attempts.next('gone-7', pace).count).toBe(1)
  expect(attempts.next('kept', pace).count).toBe(2)
})
