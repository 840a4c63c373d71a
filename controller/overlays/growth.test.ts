import { describe, expect, test } from 'vitest'
import { genOverlay } from '../../test/gen/objects.ts'
import { mustGrow } from './growth.ts'

const mebibyte = 2 ** 20
const overlay = (size: string, capacityBytes: number | undefined, spec: object = {}) =>
  genOverlay('work', {
    spec: { size, ...spec },
    status:
      capacityBytes === undefined
        ? {}
        : {
            usage: {
              ...{ usedBytes: 1, usedInodes: 1, capacityBytes, capacityInodes: 2 },
              observedTime: '2026-01-01T00:00:00Z',
            },
          },
  })

describe('mustGrow', () => {
  test.each([
    ['the spec asks for more', overlay('65Mi', 64 * mebibyte)],
    ['by a group of blocks', overlay('256Mi', 128 * mebibyte)],
    ['on a device', overlay('2Gi', 1024 * mebibyte, { storage: { volumeMode: 'Block' } })],
  ])('%s', (_, grown) => {
    expect(mustGrow(grown)).toBe(true)
  })

  test.each([
    ['it was never made', overlay('1Gi', undefined)],
    ['it is as large', overlay('64Mi', 64 * mebibyte)],
    ['it is larger', overlay('64Mi', 65 * mebibyte)],
    ['less than a block is missing', overlay(String(64 * mebibyte + 4095), 64 * mebibyte)],
    // What `mkfs.ext3 -b 4096` makes of a file of 1025 MiB.
    ['what is missing is too little for a further group of blocks', overlay('1025Mi', 1024 * mebibyte)],
    ['it is a directory', overlay('1Gi', 64 * mebibyte, { format: 'Directory' })],
    ['it was there before', overlay('1Gi', 64 * mebibyte, { storage: { existingClaimName: 'mine' } })],
  ])('not when %s', (_, same) => {
    expect(mustGrow(same)).toBe(false)
  })
})
