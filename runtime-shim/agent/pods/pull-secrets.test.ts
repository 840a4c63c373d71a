import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { genPod } from '../../../test/gen/objects.ts'
import { readPullSecrets, withAuthFile } from './pull-secrets.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-secrets-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const secretVolumes = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ name: `lamina-pull-${index}`, secret: { secretName: 's' } }))
const pod = (count: number) => genPod('dev', { spec: { volumes: secretVolumes(count) } })
const volume = (index = 0) => join(dir, 'pods', 'uid-dev', 'volumes', 'kubernetes.io~secret', `lamina-pull-${index}`)
const read = (count: number) => readPullSecrets({ kubeletDir: dir }, pod(count))

/** As the kubelet lays a secret down: a versioned directory, `..data` that leads to it, and a link for each key. */
const layDown = (index: number, files: Record<string, string>): void => {
  const version = join(volume(index), '..2026_01_01')
  mkdirSync(version, { recursive: true })
  symlinkSync('..2026_01_01', join(volume(index), '..data'))
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(version, name), text)
    symlinkSync(join('..data', name), join(volume(index), name))
  }
}

describe("a pod's pull secrets", () => {
  test('are none where there are no volumes of that name', () => {
    expect(read(0)).toEqual([])
  })

  test('are read from the kubelet’s copy, in their order, of either type', () => {
    layDown(0, { '.dockerconfigjson': 'one' })
    layDown(1, { '.dockercfg': 'two' })
    expect(read(2)).toEqual(['one', 'two'])
  })

  test('are awaited until all are there', () => {
    expect(read(1)).toBeUndefined()
    mkdirSync(volume(), { recursive: true })
    expect(read(1)).toBeUndefined()
    layDown(0, { '.dockerconfigjson': 'one' })
    expect(read(1)).toEqual(['one'])
    expect(read(2)).toBeUndefined()
  })

  test('that may be missing are left out where they are', () => {
    layDown(0, { '.dockerconfigjson': 'one' })
    layDown(1, {})
    const volumes = secretVolumes(2).map(({ name, secret }) => ({ name, secret: { ...secret, optional: true } }))
    const remembering = genPod('dev', { spec: { volumes } })
    expect(readPullSecrets({ kubeletDir: dir }, remembering)).toEqual(['one'])
  })

  test('that hold something else are refused in words', () => {
    layDown(0, { password: 'secret' })
    expect(() => read(1)).toThrow(/volume lamina-pull-0 has neither .dockerconfigjson nor .dockercfg/)
  })

  test.each([
    ['absolute', '/etc/passwd'],
    ['relative', '../../../../../../etc/passwd'],
  ])('an %s link out of the volume is not followed', (_what, target) => {
    layDown(0, {})
    writeFileSync(join(dir, 'outside'), 'of the host')
    symlinkSync(target, join(volume(), '.dockerconfigjson'))
    expect(() => read(1)).toThrow(/EXDEV/)
  })
})

describe('an auth file', () => {
  const config = JSON.stringify({ auths: { 'registry.example': { auth: Buffer.from('me:pw').toString('base64') } } })

  test('holds the credentials for as long as it is used, readable by root alone', async () => {
    const path = await withAuthFile([config], { stateDir: dir }, async (authFile = '') => {
      expect(JSON.parse(readFileSync(authFile, 'utf8')).auths).toHaveProperty(['registry.example'])
      expect(statSync(authFile).mode & 0o777).toBe(0o600)
      expect(statSync(dirname(authFile)).mode & 0o777).toBe(0o700)
      return authFile
    })
    expect(existsSync(path)).toBe(false)
  })

  test('is gone after a failure too', async () => {
    await expect(withAuthFile([config], { stateDir: dir }, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(readdirSync(join(dir, 'auth'))).toEqual([])
  })

  test('is not made without secrets', async () => {
    expect(await withAuthFile([], { stateDir: dir }, async (authFile) => authFile)).toBeUndefined()
  })
})
