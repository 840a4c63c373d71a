import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConversionError } from '../errors.ts'
import { cleanPath } from '../names.ts'
import type { EntryHeader, EntryType } from '../tar/entry.ts'
import { isAsRead, planFlattening } from './plan.ts'
import { createSpeculation } from './speculation.ts'
import type { IndexedEntry } from './tree.ts'

/**
 * Layers in short: `f` and `f=text` are files (the text stands for content and
 * is kept as the owner's number), `d/` a directory, `l -> t` a symbolic and
 * `h => t` a hard link, `.wh.f` a whiteout.
 */
const headerOf = (text: string): EntryHeader => {
  const [, name = '', arrow, rest = ''] = /^(.*?)(?:( -> | => |=)(.*))?$/.exec(text) ?? []
  const kinds: Record<string, EntryType> = { ' -> ': 'symlink', ' => ': 'hardlink' }
  const type = kinds[arrow ?? ''] ?? (name.endsWith('/') ? 'directory' : 'file')
  return {
    ...{ type, name, link: type === 'symlink' || type === 'hardlink' ? rest : '' },
    ...{ mode: 0o644, uid: arrow === '=' ? Number(rest) : 0, gid: 0, mtime: 0, major: 0, minor: 0, xattrs: new Map() },
  }
}

const indexOf = (...layers: string[][]): IndexedEntry[][] =>
  layers.map((lines, layer) =>
    lines.map((line) => {
      const header = headerOf(line)
      return { layer, header, path: cleanPath(header.name) }
    }),
  )

/** What the plan makes, in short: `path` → layer (from 1) and content, or link target. */
const made = (...layers: string[][]): Record<string, string> => {
  const lines: [string, string][] = []
  for (const [{ layer, header }, emissions] of planFlattening(indexOf(...layers))) {
    for (const { path, linkTo, metadata } of emissions) {
      const target = header.type === 'symlink' ? ` -> ${header.link}` : ''
      const owner = metadata.uid === 0 ? '' : `=${metadata.uid}`
      lines.push([path, linkTo === undefined ? `${layer + 1}${target}${owner}` : `=> ${linkTo}`])
    }
  }
  return Object.fromEntries(lines.sort(([a], [b]) => (a < b ? -1 : 1)))
}

describe('layers laid over one another', () => {
  test('the highest has the last word', () => {
    expect(made(['a', 'b'], ['b', 'c'], ['c'])).toEqual({ a: '1', b: '2', c: '3' })
  })

  test('a whiteout hides what lower layers have, and only that', () => {
    expect(made(['a', 'd/', 'd/x'], ['.wh.a', '.wh.d'])).toEqual({})
    expect(made(['a'], ['.wh.a'], ['a'])).toEqual({ a: '3' })
    expect(made(['a'], ['a', '.wh.a'])).toEqual({ a: '2' })
    expect(made(['d/x'], ['.wh.d', 'd/', 'd/y'])).toEqual({ d: '2', 'd/y': '2' })
  })

  test('an opaque directory hides what lower layers have in it, wherever in the layer its marker is', () => {
    const below = ['d/', 'd/old', 'd/sub/deep']
    expect(made(below, ['d/', 'd/new', 'd/.wh..wh..opq'])).toEqual({ d: '2', 'd/new': '2' })
    expect(made(below, ['d/.wh..wh..opq', 'd/', 'd/new'])).toEqual({ d: '2', 'd/new': '2' })
    expect(made(below, ['d/.wh..wh..opq'])).toEqual({ d: '1' })
    expect(made(['a'], ['.wh..wh..opq', 'b'])).toEqual({ b: '2' })
  })

  test('a directory becomes a file and a directory again, without its old content', () => {
    expect(made(['s/', 's/old'], ['s'])).toEqual({ s: '2' })
    expect(made(['s/', 's/old'], ['s'], ['s/', 's/new'])).toEqual({ s: '3', 's/new': '3' })
  })

  test('of a directory in several layers the highest entry counts, not a path that only leads through it', () => {
    expect(made(['d/', 'd/x'], ['d/'], ['d/y'])).toEqual({ d: '2', 'd/x': '1', 'd/y': '3' })
    expect(made(['d/x'], ['d/e/y'])).toEqual({ 'd/x': '1', 'd/e/y': '2' })
  })

  test("a layer's own symbolic links are followed, lower layers' are replaced by the directory that a path wants", () => {
    expect(made(['real/', 'way -> real', 'way/x'])).toEqual({ real: '1', way: '1 -> real', 'real/x': '1' })
    expect(made(['real/', 'way -> real'], ['way/x'])).toEqual({ real: '1', way: '1', 'way/x': '2' })
    expect(made(['a/', 'a/up -> ../../../b/./c', 'a/up/x'])).toEqual({
      a: '1',
      'a/up': '1 -> ../../../b/./c',
      'b/c/x': '1',
    })
  })
})

describe('one path several times in a layer', () => {
  test('the last entry counts', () => {
    expect(made(['a=1', 'a=2'])).toEqual({ a: '1=2' })
    expect(made(['d/', 'd/gone', 'd', 'd=3'])).toEqual({ d: '1=3' })
    expect(made(['d', 'd/', 'd/in'])).toEqual({ d: '1', 'd/in': '1' })
  })

  test('children may come before their directory', () => {
    expect(made(['d/x', 'd/'])).toEqual({ d: '1', 'd/x': '1' })
  })
})

describe('hard links', () => {
  test('are links to the name that has the content', () => {
    expect(made(['a', 'b => a', 'c => b'])).toEqual({ a: '1', b: '=> a', c: '=> a' })
  })

  test('reach into lower layers', () => {
    expect(made(['a'], ['b => a'])).toEqual({ a: '1', b: '=> a' })
    expect(made(['a'], ['.wh.a'], ['a'], ['b => a'])).toEqual({ a: '3', b: '=> a' })
  })

  test('keep the content when its own name has another one above', () => {
    expect(made(['a', 'b => a', 'c => a'], ['a'])).toEqual({ a: '2', b: '1', c: '=> b' })
    expect(made(['a'], ['b => a'], ['.wh.a'])).toEqual({ b: '1' })
    expect(made(['a', 'b => a', 'a'])).toEqual({ a: '1', b: '1' })
  })

  test('never go round in a circle', () => {
    expect(made(['a', 'b => a', 'c => b', 'b => c'])).toEqual({ a: '1', b: '=> a', c: '=> a' })
    expect(made(['a', 'b => a', 'a => b'])).toEqual({ a: '1', b: '=> a' })
  })

  test('change the metadata of what they link to', () => {
    const [[a, b] = []] = [indexOf(['a', 'b => a'])].flat()
    if (!a || !b) throw new Error('no entries')
    const relabelled = { ...b, header: { ...b.header, uid: 7, xattrs: new Map([['user.new', '1']]) } }
    const capable = {
      ...a,
      header: {
        ...a.header,
        xattrs: new Map([
          ['security.capability', 'x'],
          ['user.old', '0'],
        ]),
      },
    }
    const emission = planFlattening([[capable, relabelled]]).get(capable)?.[0]
    expect(emission?.metadata).toMatchObject({
      uid: 7,
      xattrs: new Map([
        ['user.old', '0'],
        ['user.new', '1'],
      ]),
    })
  })
})

describe('what containerd refuses is refused, with the entry and its layer', () => {
  test.each<[string, string[][], RegExp]>([
    ['an entry below a file', [['f', 'f/x']], /layer 1: "f\/x": it lies below "f", which is not a directory/],
    [
      'a hard link to nothing',
      [['a'], ['.wh.a', 'b => a']],
      /layer 2: "b": it is a hard link to "a", which is not there/,
    ],
    ['a hard link to itself', [['a', 'a => a']], /"a": it is a hard link to "a", which is not there/],
    ['a hard link to a directory', [['d/', 'b => d']], /which is a directory/],
    ['links without end', [['a -> b', 'b -> a', 'a/x']], /without end/],
    ['a symbolic link to nothing', [['a -> ']], /symbolic link to nothing/],
    ['a whiteout of nothing', [['d/.wh.']], /whiteout of nothing/],
    ['a whiteout of what lies above', [['d/.wh...']], /whiteout of nothing/],
    ['a name that Linux does not take', [['n'.repeat(256)]], /longer than Linux allows/],
  ])('%s', (_, layers, message) => {
    expect(() => made(...layers)).toThrow(message)
    expect(() => made(...layers)).toThrow(ConversionError)
  })
})

test('a character device 0:0 is the whiteout that overlayfs takes it for', () => {
  const [[a] = [], [device] = []] = indexOf(['a'], ['a'])
  if (!a || !device) throw new Error('no entries')
  const plan = planFlattening([[a], [{ ...device, header: { ...device.header, type: 'character' } }]])
  expect(plan.size).toBe(0)
})

describe('for any layers of files, directories and whiteouts', () => {
  const names = fc.constantFrom('a', 'b', 'c')
  const paths = fc.array(names, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
  const items = fc.tuple(paths, fc.constantFrom('file', 'directory', 'whiteout', 'opaque')).map(([path, kind]) => {
    if (kind === 'whiteout') return path.replace(/([^/]+)$/, '.wh.$1')
    if (kind === 'opaque') return `${path}/.wh..wh..opq`
    return kind === 'directory' ? `${path}/` : path
  })
  const layers = fc.array(fc.uniqueArray(items, { maxLength: 6, selector: cleanPath }), { maxLength: 4 })

  /** As the image specification puts it, with nothing but a set of paths: hide first, then add. */
  const simple = (stack: string[][]): Map<string, string> => {
    let tree = new Map<string, string>()
    const without = (path: string, own: boolean) => {
      tree = new Map([...tree].filter(([other]) => !(own && other === path) && !other.startsWith(`${path}/`)))
    }
    for (const [index, layer] of stack.entries()) {
      for (const line of layer) {
        const hidden = /^(.*?)\/?\.wh\.(.*)$/.exec(line)
        if (!hidden) continue
        const [, parent = '', name = ''] = hidden
        if (name === '.wh..opq') without(parent, false)
        else without(parent === '' ? name : `${parent}/${name}`, true)
      }
      for (const line of layer) {
        const marker = line.includes('.wh.')
        const path = cleanPath(marker ? line.slice(0, line.lastIndexOf('/') + 1) : line)
        const parts = path.split('/')
        const parents = parts
          .slice(0, marker ? parts.length : -1)
          .map((_, depth) => parts.slice(0, depth + 1).join('/'))
        for (const parent of parents) if (tree.get(parent)?.endsWith('file')) tree.set(parent, 'implied')
        if (marker || path === '') continue
        if (line.endsWith('/')) tree.set(path, `${index} directory`)
        else {
          without(path, true)
          tree.set(path, `${index} file`)
        }
      }
    }
    return new Map([...tree].filter(([, what]) => what !== 'implied'))
  }

  const planned = (stack: string[][]): Map<string, string> | undefined => {
    try {
      const plan = planFlattening(indexOf(...stack))
      return new Map(
        [...plan].flatMap(([{ layer, header }, emissions]) =>
          emissions.map(({ path }) => [path, `${layer} ${header.type}`]),
        ),
      )
    } catch (error) {
      if (error instanceof ConversionError) return undefined
      throw error
    }
  }

  test('the plan is what the specification says', () => {
    fc.assert(
      fc.property(layers, (stack) => {
        const plan = planned(stack)
        fc.pre(plan !== undefined)
        expect(new Map([...(plan ?? [])].toSorted())).toEqual(new Map([...simple(stack)].toSorted()))
      }),
      { numRuns: 2000 },
    )
  })

  test('guesses show no path twice, and come true in ordinary layers', () => {
    fc.assert(
      fc.property(layers, (stack) => {
        const index = indexOf(...stack)
        const speculation = createSpeculation()
        const shown: IndexedEntry[] = []
        for (const entries of index.toReversed()) {
          shown.push(...entries.filter((entry) => speculation.shows(entry)))
          speculation.endLayer()
        }
        expect(new Set(shown.map(({ path }) => path)).size).toBe(shown.length)
      }),
    )
    const index = indexOf(
      ['d/', 'd/x', 'd/y', 'l -> d', 'h => d/x', 'gone', 'o/', 'o/x'],
      ['d/', 'd/y', '.wh.gone', 'o/', 'o/.wh..wh..opq', 'o/new'],
    )
    const speculation = createSpeculation()
    const shown = new Set<IndexedEntry>()
    for (const entries of index.toReversed()) {
      for (const entry of entries) if (speculation.shows(entry)) shown.add(entry)
      speculation.endLayer()
    }
    const plan = planFlattening(index)
    expect(new Set(plan.keys())).toEqual(shown)
    for (const [entry, emissions] of plan) expect(emissions.every((emission) => isAsRead(entry, emission))).toBe(true)
  })
})
