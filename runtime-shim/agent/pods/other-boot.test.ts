import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { containerPaths, defaultLayout, type NodeLayout, podPaths, rootPath } from '../../node/layout.ts'
import { sweepOtherBoot } from './other-boot.ts'

let layout: NodeLayout
beforeEach(() => {
  layout = { ...defaultLayout, stateDir: join(mkdtempSync(join(tmpdir(), 'lamina-boot-')), 'run') }
})
afterEach(() => rmSync(join(layout.stateDir, '..'), { recursive: true }))

const bootTime = Date.parse('2026-01-02T00:00:00Z')
const paths = () => podPaths(layout, 'uid-dev')

/** All that a pod with a running container has on the node. */
const lay = (): void => {
  const { dir, ticket, refusal, mounts, releases, released, progress, volumes } = paths()
  const container = containerPaths(layout, 'c')
  for (const each of [dir, mounts, releases, progress, container.dir, rootPath(layout, 'c')])
    mkdirSync(each, { recursive: true })
  const files = [ticket, refusal, released, volumes, join(mounts, 'c.json'), join(releases, 'c.json')]
  for (const file of [...files, join(progress, 'result.json'), join(progress, 'log')]) writeFileSync(file, '{}')
  symlinkSync(join(mounts, 'c.json'), container.mount)
  utimesSync(volumes, bootTime / 1000 - 60, bootTime / 1000 - 60)
}

test('after a reboot nothing counts that an earlier boot has left: no ticket, no mount, no preparation', () => {
  sweepOtherBoot(layout, { bootID: 'first', bootTime })
  lay()
  sweepOtherBoot(layout, { bootID: 'second', bootTime })
  expect(readdirSync(paths().dir)).toEqual(['progress'])
  expect(readdirSync(paths().progress)).toEqual([])
  expect(existsSync(containerPaths(layout, 'c').dir)).toBe(false)
  expect(existsSync(rootPath(layout, 'c'))).toBe(false)
})

test('the agent started anew in the same boot leaves all as it is', () => {
  sweepOtherBoot(layout)
  lay()
  sweepOtherBoot(layout)
  expect(readdirSync(paths().dir)).toHaveLength(7)
  expect(readdirSync(containerPaths(layout, 'c').dir)).toEqual(['mount.json'])
})

test('so does one that comes after a version of Lamina that noted no boot', () => {
  lay()
  sweepOtherBoot(layout)
  expect(existsSync(paths().ticket)).toBe(true)
})

test('what the runtime has written since the reboot stays: the kubelet may be faster than the agent', () => {
  sweepOtherBoot(layout, { bootID: 'first', bootTime })
  lay()
  utimesSync(paths().volumes, bootTime / 1000 + 5, bootTime / 1000 + 5)
  sweepOtherBoot(layout, { bootID: 'second', bootTime })
  expect(readdirSync(paths().dir).toSorted()).toEqual(['progress', 'volumes.json'])
})

test('a root that something is mounted over is not emptied', () => {
  sweepOtherBoot(layout, { bootID: 'first', bootTime })
  mkdirSync(rootPath(layout, 'c'), { recursive: true })
  writeFileSync(join(rootPath(layout, 'c'), 'precious'), '')
  sweepOtherBoot(layout, { bootID: 'second', bootTime })
  expect(existsSync(join(rootPath(layout, 'c'), 'precious'))).toBe(true)
})
