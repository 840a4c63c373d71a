import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { mainConfig, type OciConfig, ourDevices, ourVolumes, prepareConfig, readConfig, sameUser } from './bundle.ts'

let bundle: string
beforeEach(() => {
  bundle = mkdtempSync(join(tmpdir(), 'lamina-bundle-'))
})
afterEach(() => rmSync(bundle, { recursive: true }))

const annotations = { 'io.kubernetes.cri.container-type': 'container', 'io.kubernetes.cri.container-name': 'main' }

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

describe('a block volume of ours', () => {
  const rule = (major: number, minor: number, type = 'b') => ({ allow: true, type, major, minor, access: 'rwm' })
  const others = [
    { path: '/dev/nvidia0', type: 'c', major: 195, minor: 0, fileMode: 438, uid: 0 },
    { path: '/dev/xvda', type: 'b', major: 8, minor: 16 },
    { path: '/dev/tty9', type: 'c', major: 7, minor: 3 },
  ]
  const denial = { allow: false, access: 'rwm' }
  const linux = {
    cgroupsPath: '/kubepods/x',
    devices: [others[0], { path: '/.lamina/overlays/0', type: 'b', major: 7, minor: 3 }, ...others.slice(1)],
    resources: {
      memory: { limit: 5 },
      devices: [denial, rule(195, 0, 'c'), rule(7, 3), rule(8, 16), rule(7, 3, 'c')],
    },
  }

  test('is known by its path, with its numbers', () => {
    expect([...ourDevices(config({ linux }))]).toEqual([['/.lamina/overlays/0', { major: 7, minor: 3 }]])
  })

  test.each(['main', 'prepare'])('leaves %s as a node and as a permission; all else stays, in its order', (name) => {
    const before = config({ linux })
    const user = { uid: 0, gid: 0 }
    const after =
      name === 'main' ? mainConfig(before, { root: '/r', user, init: '/i' }) : prepareConfig(before, { progress: '/p' })
    expect(after.linux).toEqual({
      ...linux,
      devices: others,
      resources: { ...linux.resources, devices: [denial, rule(195, 0, 'c'), rule(8, 16), rule(7, 3, 'c')] },
    })
  })

  test('is not to be had under another path either', () => {
    const twice = [...linux.devices, { path: '/dev/raw', type: 'b', major: 7, minor: 3 }]
    const after = prepareConfig(config({ linux: { ...linux, devices: twice } }), { progress: '/p' })
    expect(after.linux?.devices).toEqual(others)
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
