import { closeSync, constants, linkSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { BlockDevice } from '../../test/node/images.ts'
import { createOverlayForms, formNames, type OverlayForms } from '../../test/node/overlay-forms.ts'
import { createRootBench, type OverlaySpec, type RootBench } from '../../test/node/roots.ts'
import { isClaimed } from './device.ts'
import { normaliseUpper } from './foreign.ts'
import { isAttached } from './loop.ts'

// Each root is a process of its own, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let bench: RootBench
let forms: OverlayForms
beforeEach(() => {
  bench = createRootBench()
  forms = createOverlayForms(bench)
})
afterEach(() => bench.close())

const path = (name: string): string => join(bench.dir, name)

const isFree = ({ mapPath }: BlockDevice): boolean => {
  const fd = openSync(mapPath, 'r')
  try {
    return !isClaimed(fd)
  } finally {
    closeSync(fd)
  }
}

/** What the node agent does at import. */
const normalise = (top: string): void => {
  const fd = openSync(join(top, 'upper'), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    normaliseUpper(fd)
  } finally {
    closeSync(fd)
  }
}

describe.each(formNames)('%s', (_what, form) => {
  test('keeps what is written, changed and removed', async () => {
    const { spec: work } = forms[form]()
    const first = await bench.run({
      readWrite: work,
      script: 'echo new > foo; rm etc/group; rm -r opt; mkdir opt; touch opt/own; echo changed > etc/passwd',
    })
    expect(first.error ?? first.output).toBe('')
    const second = await bench.run({ readWrite: work, script: 'cat foo etc/passwd; ls opt; ls etc/group' })
    expect(second.output).toMatch(/^new\nchanged\nown\n.*No such file/)
  })

  test('is a layer for readers, several at once', async () => {
    const { spec: work } = forms[form]()
    await bench.run({ readWrite: work, script: 'echo v1 > text; rm etc/group' })
    const request = { readOnly: [work], script: 'cat text; ls etc/group; echo own > text' }
    const [one, two] = [await bench.open(request), await bench.open(request)]
    for (const { error, output } of [one, two]) expect(error ?? output).toMatch(/^v1\n.*No such file/)
    expect(two.loops).toEqual(one.loops)
    expect((await bench.run({ readWrite: work })).error).toMatch(/is in use by another mount on this node/)
    await one.end()
    expect((await bench.run({ readWrite: work })).error).toMatch(/is in use by another mount on this node/)
    await two.end('SIGKILL')
    expect((await bench.run({ readWrite: work, script: 'cat text' })).output).toBe('v1\n')
  })

  test('is held by a writer exactly as long as it is mounted, also when its process is killed', async () => {
    const { spec: work } = forms[form]()
    const writer = await bench.open({ readWrite: work, script: 'echo kept > text' })
    expect(writer.error).toBeUndefined()
    expect((await bench.run({ readWrite: work })).error).toMatch(/is in use by another mount on this node/)
    expect((await bench.run({ readOnly: [work] })).error).toMatch(/is in use for writing by another mount/)
    await writer.end('SIGKILL')
    for (const loop of writer.loops) if (loop) expect(isAttached(loop)).toBe(false)
    for (const each of forms.devices) expect(isFree(each)).toBe(true)
    expect((await bench.run({ readWrite: work, script: 'cat text' })).output).toBe('kept\n')
  })

  test('is waited for by a successor', async () => {
    const { spec: work } = forms[form]()
    const first = await bench.open({ readWrite: work, script: 'echo one > foo' })
    const second = bench.open({ readWrite: work, script: 'cat foo', waitMs: 10_000 })
    setTimeout(() => first.end('SIGKILL'), 300)
    expect(await second).toMatchObject({ output: 'one\n' })
  })

  test('is refused where it is named twice', async () => {
    const { spec: work } = forms[form]()
    for (const request of [{ readOnly: [work, work] }, { readOnly: [work], readWrite: work }])
      expect((await bench.run(request)).error).toMatch(/overlays "(.*)" and "\1" are the same .*: use it once/)
  })

  test('that fuse-overlayfs wrote is refused while a deleted file would come back', async () => {
    const { spec: work, edit } = forms[form]()
    edit((top) => {
      mkdirSync(join(top, 'upper/etc'), { recursive: true })
      writeFileSync(join(top, 'upper/etc/.wh.group'), '')
    })
    const words = /was written by another tool, .*: etc\/\.wh\.group is a deleted file as fuse-overlayfs marks it; /
    const ofWriter = (await bench.run({ readWrite: work })).error
    expect(ofWriter).toMatch(words)
    expect(ofWriter).toMatch(/: it was .*; the node agent is to convert it$/)
    const ofReader = (await bench.run({ readOnly: [work] })).error
    expect(ofReader).toMatch(words)
    expect(ofReader).toMatch(
      / was .*; the node agent converts it when an instance starts that has the overlay ReadWrite$/,
    )

    edit(normalise)
    const { error, output } = await bench.run({ readWrite: work, script: 'ls etc' })
    expect(error ?? output).toBe('hostname\nhosts\npasswd\nresolv.conf\n')
    expect((await bench.run({ readOnly: [work], script: 'ls etc' })).output).toBe(output)
  })

  test('of our own may hold such names: they are files', async () => {
    const { spec: work } = forms[form]()
    await bench.run({ readWrite: work, script: 'touch etc/.wh.group' })
    expect((await bench.run({ readWrite: work, script: 'ls -A etc' })).output).toMatch(/^\.wh\.group\ngroup\n/)
  })
})

describe('several overlays', () => {
  const labelled = async ([name, form]: (typeof formNames)[number], index: number): Promise<OverlaySpec> => {
    const { spec } = forms[form](`form-${index}`)
    const script = `echo '${name}' > top; echo '${name}' > own-${index}`
    expect((await bench.run({ readWrite: spec, script })).error).toBeUndefined()
    return spec
  }

  test('of every form lie in the order that is given, the writer on top', async () => {
    const specs: OverlaySpec[] = []
    for (const [index, form] of formNames.entries()) specs.push(await labelled(form, index))
    for (const [index] of formNames.entries()) {
      const readOnly = [...specs.slice(index), ...specs.slice(0, index)]
      const last = formNames[(index + formNames.length - 1) % formNames.length]?.[0]
      const { error, output } = await bench.run({ readOnly, script: 'cat top; ls' })
      expect(error ?? output).toBe(`${last}\ndev\netc\nopt\nown-0\nown-1\nown-2\nown-3\nproc\nsys\ntop\n`)
    }
    const [first, ...rest] = specs
    expect((await bench.run({ readOnly: rest, readWrite: first ?? '', script: 'cat top' })).output).toBe(
      'an ext3 image\n',
    )
  })

  test('one that is deleted in a higher layer stays deleted', async () => {
    const [low, high] = [forms.image('low').spec, forms.image('high').spec]
    await bench.run({ readWrite: low, script: 'echo low > text' })
    await bench.run({ readOnly: [low], readWrite: high, script: 'rm text' })
    expect((await bench.run({ readOnly: [low, high], script: 'ls text' })).output).toMatch(/No such file/)
    expect((await bench.run({ readOnly: [high, low], script: 'cat text' })).output).toBe('low\n')
  })

  test('a directory inside another one, or the sandbox itself, is refused', async () => {
    bench.folder('volume/tree/deep')
    const [tree, deep] = ['tree', 'tree/deep'].map((each) => ({ volume: path('volume'), path: each }))
    const base = { kind: 'below', directory: path('volume'), path: 'tree' } as const
    const words = /a layer is there twice, or one lies inside another/
    expect((await bench.run({ readOnly: [tree ?? '', deep ?? ''] })).error).toMatch(words)
    expect((await bench.run({ base, readOnly: [tree ?? ''] })).error).toMatch(words)
  })

  test('the same image by another name is refused', async () => {
    const { spec } = forms.image()
    linkSync(path('volume/overlay.img'), path('volume/other.img'))
    const other = { volume: path('volume'), path: 'other.img' }
    expect((await bench.run({ readOnly: [spec, other] })).error).toMatch(/are the same/)
  })
})
