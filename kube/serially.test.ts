import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createJointSerializer } from './serially.ts'

/** Begins and ends of acts that each take a few turns. */
const recorder = () => {
  const log: string[] = []
  const act = (name: string) => async (): Promise<void> => {
    log.push(`${name} begins`)
    for (let turns = 0; turns < 5; turns++) await turn()
    log.push(`${name} ends`)
  }
  return { log, act }
}

test('two that share a key are not at it together', async () => {
  const { log, act } = recorder()
  const serially = createJointSerializer()
  await Promise.all([serially(['a', 'b'], act('one')), serially(['b', 'c'], act('two'))])
  expect(log[1]).toBe(log[0]?.replace('begins', 'ends'))
  expect(log[3]).toBe(log[2]?.replace('begins', 'ends'))
})

test('who shares none goes on at once', async () => {
  const { log, act } = recorder()
  const serially = createJointSerializer()
  await Promise.all([serially(['a'], act('one')), serially(['b'], act('two')), serially([], act('three'))])
  expect(log.slice(0, 3).toSorted()).toEqual(['one begins', 'three begins', 'two begins'])
})

test('two that want the same in other orders do not wait for each other', async () => {
  const { log, act } = recorder()
  const serially = createJointSerializer()
  await Promise.all([
    serially(['a', 'b'], act('one')),
    serially(['b', 'a'], act('two')),
    serially(['a', 'a'], act('three')),
  ])
  expect(log).toHaveLength(6)
})

test('a failure is its own, and lets the next come', async () => {
  const serially = createJointSerializer()
  const failing = serially(['a'], () => Promise.reject(new Error('no')))
  const next = serially(['a'], async () => 'yes')
  await expect(failing).rejects.toThrow('no')
  expect(await next).toBe('yes')
})
