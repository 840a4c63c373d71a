import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * One folder for all benches of a run of vitest, which goes with all that is in it when the run ends: the hooks of a file
 * whose tests are all skipped are not called, nor those that come behind a bench which could not be made.
 */
const variable = 'LAMINA_RUN_FOLDER'

/** A folder for a bench, which removes it itself where it can. */
export const benchFolder = (name: string): string =>
  mkdtempSync(join(process.env[variable] ?? tmpdir(), `lamina-${name}-`))

/** What is mounted may be the machine's own. */
const assertNothingMounted = (folder: string): void => {
  const mounted = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((line) => line.includes(`${folder}/`))
  if (mounted !== undefined) throw new Error(`a test has left a mount, and its folder stays: ${mounted}`)
}

/** For vitest, before the first file. Returns what it calls after the last one. */
export const setup = (): (() => void) => {
  const folder = mkdtempSync(join(tmpdir(), 'lamina-run-'))
  // Ordinary users look for their benches in it.
  chmodSync(folder, 0o755)
  process.env[variable] = folder
  return () => {
    assertNothingMounted(folder)
    rmSync(folder, { recursive: true, force: true })
  }
}
