import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { CliBench } from './bench.ts'

/** For the end of a file, which has mounted much: of a bench's folder nothing is mounted or attached any more. */
export const expectNothingLeft = ({ dir, image, lamina }: CliBench): void => {
  copyFileSync(image, join(dir, 'last.sqfs'))
  lamina(['exec', join(dir, 'last.sqfs'), 'true'])
  expect(execFileSync('losetup', ['--list', '--noheadings'], { encoding: 'utf8' })).not.toContain(dir)
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(dir)
}
