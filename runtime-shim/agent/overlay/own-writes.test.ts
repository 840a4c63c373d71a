import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { editExt3, makeExt3 } from '../../../test/node/images.ts'
import { knowingOwnWrites } from './own-writes.ts'
import type { Preparation } from './preparation.ts'
import { prepareOverlay } from './prepare.ts'
import { createWorkplace, type Workplace } from './testing/workplace.ts'

let workplace: Workplace
beforeEach(() => {
  workplace = createWorkplace()
})
afterEach(() => workplace.close())

const stillAfterMs = 1_000
const attempts = () => {
  const prepare = knowingOwnWrites(prepareOverlay)
  const { signal } = new AbortController()
  return (changes: Partial<Preparation> = {}) =>
    prepare(workplace.preparation({ existing: true, stillAfterMs, ...changes }), signal)
}

/** Copied there, and what is in it has no equal in the kernel. */
const copyUnimportable = (): void => {
  const original = join(workplace.dir, `original-${Math.random()}`)
  makeExt3(original)
  editExt3(original, 'mkdir upper', 'mkdir upper/etc', 'ea_set upper/etc user.overlay.redirect /usr')
  copyFileSync(original, workplace.image)
}

test('an attempt that fails is followed by others with the same reason, until somebody writes to the image', async () => {
  const prepare = attempts()
  copyUnimportable()
  await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayIncomplete' })
  await sleep(stillAfterMs)
  await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayNotImported' })
  await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayNotImported' })
  await sleep(20)
  copyUnimportable()
  await expect(prepare()).rejects.toMatchObject({ reason: 'OverlayIncomplete' })
})

test('an attempt whose success was not told is made again at once', async () => {
  const prepare = attempts()
  makeExt3(workplace.image)
  await sleep(stillAfterMs)
  expect(await prepare()).toMatchObject({ checked: true })
  expect(await prepare()).toMatchObject({ checked: true })
})
