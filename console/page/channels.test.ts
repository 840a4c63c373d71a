import { describe, expect, test } from 'vitest'
import { readFrame, resizeFrame, typedFrame } from './channels.ts'

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const frame = (channel: number, content: string): ArrayBuffer => {
  const encoded = new TextEncoder().encode(content)
  const bytes = new Uint8Array(encoded.length + 1)
  bytes[0] = channel
  bytes.set(encoded, 1)
  return bytes.buffer
}

test('what is typed goes over channel 0, in UTF-8', () => {
  const bytes = typedFrame('ü')
  expect([bytes[0], text(bytes.subarray(1))]).toEqual([0, 'ü'])
})

test('the size goes over channel 4', () => {
  const bytes = resizeFrame({ cols: 80, rows: 24 })
  expect([bytes[0], text(bytes.subarray(1))]).toEqual([4, '{"Width":80,"Height":24}'])
})

describe('what comes', () => {
  test.each([1, 2])('over channel %d is shown', (channel) => {
    const message = readFrame(frame(channel, 'hello'))
    expect(message.kind === 'output' && text(message.bytes)).toBe('hello')
  })

  const exit = (code: string) => ({
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: code }] },
  })
  test.each([
    [{ status: 'Success' }, 'The shell has ended.', false],
    [exit('130'), 'The shell has ended with exit code 130.', true],
    [
      { kind: 'Status', status: 'Failure', reason: 'InternalError', message: 'no such container' },
      'The terminal has ended: no such container',
      true,
    ],
  ])('over channel 3 says how it ended, and whether that is trouble: %j', (status, words, isTrouble) => {
    expect(readFrame(frame(3, JSON.stringify(status)))).toEqual({ kind: 'ended', ending: { words, isTrouble } })
  })

  test.each([frame(1, ''), frame(255, 'x'), new ArrayBuffer(0)])('else is nothing', (data) => {
    expect(readFrame(data)).toEqual({ kind: 'none' })
  })
})
