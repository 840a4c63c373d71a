import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { MountPoint } from './parts.ts'

/** Makes places for mounts below the directory `at`, which is nobody else's. */
export const makeMountPoints = (at: string, points: readonly MountPoint[]): void => {
  for (const { path, kind } of points) {
    const whole = join(at, path)
    mkdirSync(kind === 'directory' ? whole : dirname(whole), { recursive: true, mode: 0o755 })
    if (kind === 'file') writeFileSync(whole, '')
  }
}
