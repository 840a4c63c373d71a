import { describe, expect, test } from 'vitest'
import { createJudge, usualPace } from './pace.ts'

const kibi = 1024

/** Asks once a second; when the download is given up, and why. */
const judged = (bytesAt: (second: number) => number, seconds: number): string => {
  let now = 0
  const judge = createJudge(usualPace, () => now * 1000)
  for (; now <= seconds; now++) {
    const fault = judge(bytesAt(now))
    if (fault !== undefined) return `${now} s: ${fault}`
  }
  return 'goes on'
}

describe('a download', () => {
  test.each<[string, (second: number) => number, string]>([
    ['goes on while it brings enough', (second) => second * 70 * kibi, 'goes on'],
    ['may rest for a while', (second) => Math.floor(second / 50) * 50 * 70 * kibi, 'goes on'],
    ['is given up when nothing comes', () => 0, '60 s: nothing came for 60 s'],
    ['also when much has come before', (second) => Math.min(second, 100) * 2 ** 20, '160 s: nothing came for 60 s'],
    ['is given up when hardly anything comes', (second) => second, '300 s: only 1 KiB came within 300 s'],
    ['also when much has come before', (second) => 2 ** 30 + second, '310 s: only 1 KiB came within 300 s'],
    [
      'is not judged by what came long ago',
      (second) => (second < 1000 ? second * 2 ** 20 : 2 ** 30 + (second - 1000) * kibi),
      '1300 s: only 300 KiB came within 300 s',
    ],
  ])('%s', (_, bytesAt, expected) => {
    expect(judged(bytesAt, 4000)).toBe(expected)
  })
})
