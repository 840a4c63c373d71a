import { expect, test } from 'vitest'
import { signalNumber } from './stop-signal.ts'

test.each([
  ['SIGINT', 2],
  ['QUIT', 3],
  ['sigwinch', 28],
  ['SIGRTMIN+3', 37],
  ['RTMAX-14', 50],
  ['SIGRTMIN', 34],
  ['9', 9],
  ['', undefined],
  ['0', undefined],
  ['65', undefined],
  ['SIGRTMIN+31', undefined],
  ['SIGNONE', undefined],
  ['15; reboot', undefined],
])('a signal as an image names it: %j is %s', (text, number) => {
  expect(signalNumber(text)).toBe(number)
})
