import { expect, test } from 'vitest'
import { overlayOptions } from './overlay.ts'

const options = { lowers: ['/high', '/low'], upper: '/u', work: '/w', volatile: false, mountLabel: '' }

test('every feature that would change the format of an image is named and off', () => {
  expect(overlayOptions(options)).toBe(
    'lowerdir=/high:/low,upperdir=/u,workdir=/w,index=off,metacopy=off,redirect_dir=off,nfs_export=off,uuid=off',
  )
})

test('only a layer that is thrown away is volatile', () => {
  expect(overlayOptions({ ...options, volatile: true })).toMatch(/,volatile$/)
})

test("the container's SELinux label becomes the files' context", () => {
  expect(overlayOptions({ ...options, mountLabel: 'system_u:object_r:container_file_t:s0:c1,c2' })).toMatch(
    /,context="system_u:object_r:container_file_t:s0:c1,c2"$/,
  )
})
