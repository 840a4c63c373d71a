import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createRootBench, type OverlaySpec, type RootBench, type RootRequest } from '../../test/node/roots.ts'

const fixtures = join(import.meta.dirname, '../../test/fixtures')

// Each root is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let bench: RootBench
beforeEach(() => {
  bench = createRootBench()
})
afterEach(() => bench.close())

const path = (name: string): string => join(bench.dir, name)
const outputOf = async (request: RootRequest): Promise<string> => {
  const { error, output } = await bench.run(request)
  return error ?? output
}

describe('files that Apptainer 1.4.5 wrote', () => {
  const merged = readFileSync(join(fixtures, 'merged.txt'), 'utf8')
  const script = "find etc var opt srv foo bin root -exec stat -c '%N %F %a %u:%g %h' {} + | LC_ALL=C sort"
  const unpacked = (fixture: string, file: string): OverlaySpec => {
    execFileSync('zstd', ['-qd', join(fixtures, fixture), '-o', join(bench.folder('volume'), file)])
    return { volume: path('volume'), path: file }
  }
  /**
   * Apptainer's stat quotes differently, and Apptainer binds the host's files over some in /etc, empty as mount points
   * are, and /var/tmp. /etc/hostname is of our lowest layer, such a mount point too.
   */
  const comparable = (listing: string): string[] =>
    listing
      .replaceAll("'", '')
      .replaceAll('regular empty file', 'regular file')
      .split('\n')
      .filter((line) => !/^\/(var\/tmp|etc\/hostname) /.test(line))
  const shown = async (request: RootRequest): Promise<string[]> =>
    comparable((await outputOf({ ...request, script })).replaceAll(/^'?/gm, '/').replace(/\/$/, ''))

  test.each(['minimal.sif', 'minimal.simg'])('its overlay above %s shows what it shows there', async (base) => {
    const overlay = unpacked('apptainer-overlay.img.zst', 'overlay.img')
    expect(await shown({ base: join(fixtures, base), readWrite: overlay })).toEqual(comparable(merged))
    expect(await shown({ base: join(fixtures, base), readOnly: [overlay] })).toEqual(comparable(merged))
  })

  test('its SIF with an overlay shows what it shows there', async () => {
    const overlay = unpacked('minimal-overlay.sif.zst', 'it.sif')
    expect(await shown({ base: path('volume/it.sif') })).toEqual(comparable(merged))
    expect(await shown({ base: join(fixtures, 'minimal.sif'), readWrite: overlay })).toEqual(comparable(merged))
  })
})
