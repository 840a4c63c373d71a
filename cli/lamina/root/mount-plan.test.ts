import { expect, test } from 'vitest'
import { type Containment, mountPoints, type PlannedMount, planMounts } from './mount-plan.ts'

const directories = new Set(['/tmp', '/var/tmp', '/home/ada', '/home/ada/src', '/work', '/etc', '/data'])
const files = new Set(['/etc/hosts', '/etc/resolv.conf', '/data/file'])
const isDirectory = (path: string) => (directories.has(path) ? true : files.has(path) ? false : undefined)

const nothing: Containment = { contain: false, without: [], binds: [], init: undefined }
const plan = (containment: Partial<Containment>, { home = '/home/ada', cwd = '/work' } = {}) =>
  planMounts({ ...nothing, ...containment }, { home, cwd, isDirectory })
const places = (mounts: readonly PlannedMount[]) => mounts.map(({ kind, destination }) => `${kind} ${destination}`)

const system = ['bind /dev', 'bind /proc', 'bind /sys', 'bind /tmp', 'bind /var/tmp']
const network = ['bind /etc/hosts', 'bind /etc/resolv.conf']

test("by default the host's system, home, working directory and names of hosts", () => {
  expect(places(plan({}))).toEqual([...system, 'bind /home/ada', 'bind /work', ...network])
})

test('a working directory in the home directory is there already', () => {
  expect(places(plan({}, { cwd: '/home/ada/src' }))).toEqual([...system, 'bind /home/ada', ...network])
  expect(places(plan({ without: ['home'] }, { cwd: '/home/ada/src' }))).toEqual([
    ...[...system, 'bind /home/ada/src', ...network],
  ])
})

test.each(['/', '/etc', '/usr', '/proc/self', '/sys', '/nowhere'])('a working directory %s is not bound', (cwd) => {
  expect(places(plan({}, { cwd }))).toEqual([...system, 'bind /home/ada', ...network])
})

test('contained, it has its own', () => {
  expect(places(plan({ contain: true }))).toEqual([
    ...['devices /dev', 'bind /proc', 'bind /sys', 'memory /tmp', 'memory /var/tmp', 'memory /home/ada', ...network],
  ])
})

test('with processes of its own, /proc is left to their first', () => {
  const init = { source: '/usr/bin/catatonit', destination: '/.lamina/init' }
  expect(places(plan({ init, without: ['home', 'cwd', 'tmp', 'etc', 'sys', 'dev'] }))).toEqual([
    ...['place /proc', 'bind /.lamina/init'],
  ])
})

test('each mount has a place of its kind', () => {
  const binds = [
    { source: '/data/file', destination: '/in/file', readOnly: true },
    { source: '/data', destination: '/in//dir/', readOnly: false },
  ]
  const without = ['home', 'cwd', 'tmp', 'etc', 'sys', 'dev', 'proc'] as const
  expect(mountPoints(plan({ binds, without }))).toEqual([
    { path: '/in/file', kind: 'file' },
    { path: '/in/dir/', kind: 'directory' },
  ])
})
