import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { identify, mainConfig, type OciConfig, ourVolumes, prepareConfig, readConfig, sameUser } from './bundle.ts'

let bundle: string
beforeEach(() => {
  bundle = mkdtempSync(join(tmpdir(), 'lamina-bundle-'))
})
afterEach(() => rmSync(bundle, { recursive: true }))

const podUID = '5f0e0d2c-0000-4000-8000-000000000001'
const annotations = {
  'io.kubernetes.cri.container-type': 'container',
  'io.kubernetes.cri.container-name': 'main',
  'io.kubernetes.cri.sandbox-uid': podUID,
}

/** As containerd writes it, by way of the file. */
const config = (changes: object = {}): OciConfig => {
  const whole = {
    ociVersion: '1.1.0',
    root: { path: 'rootfs', readonly: true },
    process: { user: { uid: 7, gid: 8, umask: 18 }, args: ['sh'] },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/.lamina/overlays/0', type: 'bind', source: '/kubelet/v0' },
      { destination: '/.lamina/pull/0', type: 'bind', source: '/kubelet/pull' },
      { destination: '/.laminated', type: 'bind', source: '/kubelet/users-own' },
    ],
    linux: { namespaces: [] },
    annotations,
    ...changes,
  }
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(whole))
  return readConfig(bundle)
}

describe('whose container it is', () => {
  test.each([
    ['main', 'main'],
    ['prepare', 'prepare'],
    ['sidecar', 'other'],
    ['mainly', 'other'],
  ])('%s: %s', (name, role) => {
    const named = { ...annotations, 'io.kubernetes.cri.container-name': name }
    expect(identify(config({ annotations: named }))).toEqual({ podUID, role })
  })

  test('a sandbox is nobody’s, whatever it is named', () => {
    const sandbox = { ...annotations, 'io.kubernetes.cri.container-type': 'sandbox' }
    expect(identify(config({ annotations: sandbox })).role).toBe('other')
  })

  test('one without annotations is nobody’s', () => {
    expect(identify(config({ annotations: undefined })).role).toBe('other')
  })

  test.each(['', '../../../etc', 'a/b'])('"%s" is not taken for the uid of a pod', (uid) => {
    const odd = config({ annotations: { ...annotations, 'io.kubernetes.cri.sandbox-uid': uid } })
    expect(() => identify(odd)).toThrow(/does not say which pod/)
  })
})

test('our volumes are those below /.lamina/, by where they are mounted', () => {
  expect([...ourVolumes(config())]).toEqual([
    ['/.lamina/overlays/0', '/kubelet/v0'],
    ['/.lamina/pull/0', '/kubelet/pull'],
  ])
})

describe('what is changed', () => {
  test('main: the root, the user, our volumes out, the pause init in; all else stays', () => {
    const before = config()
    const user = { uid: 4711, gid: 4711, additionalGids: [4800] }
    const after = mainConfig(before, { root: '/run/lamina/roots/x', user, init: '/opt/lamina/lib/catatonit' })
    expect(after.root).toEqual({ path: '/run/lamina/roots/x', readonly: true })
    expect(after.process).toEqual({ user: { ...user, umask: 18 }, args: ['sh'] })
    expect(after.mounts.map(({ destination }) => destination)).toEqual(['/proc', '/.laminated', '/.lamina/init'])
    expect(after.mounts.at(-1)).toMatchObject({
      source: '/opt/lamina/lib/catatonit',
      options: expect.arrayContaining(['ro']),
    })
    const { root: _, process: __, mounts: ___, ...rest } = after
    expect(rest).toEqual({ ociVersion: '1.1.0', linux: { namespaces: [] }, annotations })
  })

  test('prepare: our volumes out, the progress files in, its own root and user stay', () => {
    const before = config()
    const after = prepareConfig(before, { progress: '/run/lamina/pods/x/progress' })
    expect(after).toEqual({ ...before, mounts: expect.anything() })
    expect(after.mounts.map(({ destination }) => destination)).toEqual(['/proc', '/.laminated', '/.lamina/progress'])
  })
})

describe('the same user', () => {
  const user = { uid: 1, gid: 2, additionalGids: [2, 3] }
  test.each([
    [{ uid: 1, gid: 2, additionalGids: [3] }, true],
    [{ uid: 1, gid: 2, additionalGids: [3, 2, 3] }, true],
    [{ uid: 1, gid: 2 }, false],
    [{ uid: 1, gid: 3, additionalGids: [2] }, false],
    [{ uid: 2, gid: 2, additionalGids: [3] }, false],
  ])('%j: %s', (other, expected) => {
    expect(sameUser(user, other)).toBe(expected)
    expect(sameUser(other, user)).toBe(expected)
  })
})
