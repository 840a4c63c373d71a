import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { exclusively } from './exclusively.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-lock-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const run = <T>(act: () => Promise<T>, waitSeconds = 10) => exclusively(join(dir, 'lock'), { waitSeconds }, act)

describe('what is done exclusively', () => {
  test('is done by one at a time, and gives its result', async () => {
    const seen: string[] = []
    const work = (name: string) => async () => {
      seen.push(`${name} begins`)
      await sleep(50)
      seen.push(`${name} ends`)
      return name
    }
    expect(await Promise.all([run(work('a')), run(work('b'))])).toEqual(['a', 'b'])
    const [first, second] = seen[0] === 'a begins' ? ['a', 'b'] : ['b', 'a']
    expect(seen).toEqual([`${first} begins`, `${first} ends`, `${second} begins`, `${second} ends`])
  })

  test('lets the next in also when it fails', async () => {
    await expect(run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    expect(await run(async () => 'next')).toBe('next')
  })

  test('is not waited for without end', async () => {
    await run(async () => {
      await expect(run(async () => 'never', 0)).rejects.toThrow(
        /no lock on .*lock: another process has had it for 0 s: fuser .* names it/,
      )
    })
  })

  test('says why where there can be no lock', async () => {
    const place = join(dir, 'nowhere/lock')
    await expect(exclusively(place, { waitSeconds: 1 }, async () => 'never')).rejects.toThrow(/No such file/)
  })
})
