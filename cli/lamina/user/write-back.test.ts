import { expect, test } from 'vitest'
import type { OpenOverlay } from '../../../runtime-shim/mount/parts.ts'
import { writeBack } from './write-back.ts'

const overlay = (access: 'ReadWrite' | 'ReadOnly') => ({ source: { name: 'e.img', access } }) as OpenOverlay
/** Which syncfs(2) refuses. */
const noDescriptor = -1

test('what else goes wrong is told, too', () => {
  expect(writeBack(noDescriptor, [overlay('ReadOnly'), overlay('ReadWrite')])).toBe(
    'what was written last to overlay e.img may be lost (EBADF): see lamina overlay check e.img, and dmesg',
  )
})

test('where nothing is kept nothing is lost', () => {
  expect(writeBack(noDescriptor, [overlay('ReadOnly')])).toBe(undefined)
})
