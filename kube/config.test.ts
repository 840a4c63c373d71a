import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { loadConfig } from './config.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'lamina-config-'))
  vi.stubEnv('HOME', home)
  vi.stubEnv('KUBECONFIG', '')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(home, { recursive: true })
})

test('$KUBECONFIG leads to the API server', async () => {
  const file = join(home, 'config')
  const config = {
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'near', user: 'me' } }],
    clusters: [{ name: 'near', cluster: { server: 'https://near:1' } }],
    users: [{ name: 'me', user: { token: 't' } }],
  }
  await writeFile(file, JSON.stringify(config))
  vi.stubEnv('KUBECONFIG', file)
  expect(loadConfig().getCurrentCluster()?.server).toBe('https://near:1')
})

test('with nothing to go by it says what to do', () => {
  expect(() => loadConfig()).toThrow('no way to the API server: set KUBECONFIG')
})
