import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { crdFile, kinds } from '../../crds/generate.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, instance, persistentOverlay } from './support/objects.ts'
import { verdictsIn } from './support/verdicts.ts'
import type { Judged } from './wrong-manifests/rule.ts'
import { mistakes } from './wrong-manifests/schemas.ts'

const { kubectl } = await testCluster()

const examples = join(import.meta.dirname, '../../examples')

let fixture: Fixture
const { judge } = verdictsIn(kubectl, () => fixture.namespace)
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'crds')
})
afterAll(() => fixture.destroy())

const image = (name: string) => containerImage(name, 'debian:12')
describe('schemas', () => {
  test('are applied without a warning, by a first creation as by an update', async () => {
    for (const file of kinds.map(crdFile)) {
      const text = await readFile(join(import.meta.dirname, '../../crds/generated', file), 'utf8')
      const first = text.replaceAll('lamina.dev', 'first.example')
      const flags = ['--dry-run=server', '--warnings-as-errors', '-f', '-']
      const created = await kubectl.try(['create', ...flags], { input: first })
      expect(created).toMatchObject({ exitCode: 0, stderr: '' })
      const updated = await kubectl.try(['apply', '--server-side', '--force-conflicts', ...flags], { input: text })
      expect(updated).toMatchObject({ exitCode: 0, stderr: '' })
    }
  })

  test('fill in what is left out', async () => {
    const made = async (object: Judged) => JSON.parse((await judge('create', object)).stdout)
    expect(await made({ ...persistentOverlay('defaults'), spec: {} })).toMatchObject({
      spec: {
        ...{ size: '1Gi', format: 'Image', reclaimPolicy: 'Retain' },
        storage: { accessMode: 'ReadWriteOnce', volumeMode: 'Filesystem' },
      },
      status: { observedGeneration: -1 },
    })
    expect(await made({ ...instance('defaults', {}), spec: { imageRef: { name: 'debian' } } })).toMatchObject({
      spec: { overlays: [], state: 'Running', restartPolicy: 'Always' },
      status: { observedGeneration: -1 },
    })
    expect(await made(image('defaults'))).toMatchObject({ status: { observedGeneration: -1 } })
  })

  test.each(mistakes)('refuse $what', async ({ manifest, answer }) => {
    const { stderr } = await judge('create', manifest)
    expect(stderr.replaceAll(fixture.namespace, 'team')).toBe(`${answer}\n`)
  })
})

test.each([
  ['examples', '.'],
  ['examples of the quickstart', 'quickstart'],
  ['examples that stand alone', 'stand-alone'],
])('the %s are accepted in a namespace of pod security baseline', async (_what, folder) => {
  const flags = ['--dry-run=server', '--warnings-as-errors', '-f', join(examples, folder)]
  expect(await kubectl.try(['-n', fixture.namespace, 'apply', ...flags])).toMatchObject({ exitCode: 0, stderr: '' })
})

describe('kubectl', () => {
  /** What `kubectl explain` lists: the fields and their descriptions. */
  const explain = async (path: string): Promise<Map<string, string>> => {
    const fields = new Map<string, string>()
    let name = ''
    for (const line of (await kubectl.run(['explain', path])).split('\nFIELDS:\n')[1]?.split('\n') ?? []) {
      name = /^ {2}(\w+)\t</.exec(line)?.[1] ?? name
      const words = /^ {4}(\S.*)$/.exec(line)?.[1]
      fields.set(name, [fields.get(name), words].filter(Boolean).join(' '))
    }
    return fields
  }

  interface Node {
    properties?: Record<string, Node> | undefined
    items?: Node | undefined
    kubernetes?: string | undefined
  }
  const nodeSchema: z.ZodType<Node> = z.lazy(() =>
    z.object({
      properties: z.record(z.string(), nodeSchema).optional(),
      items: nodeSchema.optional(),
      kubernetes: z.string().optional(),
    }),
  )

  /** Paths of our own objects, with the names of their fields. */
  const objectsOf = (node: Node, path: string): { path: string; fields: string[] }[] => {
    if (node.kubernetes !== undefined) return []
    if (node.items) return objectsOf(node.items, path)
    const properties = Object.entries(node.properties ?? {})
    if (properties.length === 0) return []
    const below = properties.flatMap(([name, property]) => objectsOf(property, `${path}.${name}`))
    return [{ path, fields: properties.map(([name]) => name) }, ...below]
  }

  test.each(kinds)('explains every field of $kind', async ({ plural, spec, status }) => {
    const toNode = (schema: z.ZodObject): Node =>
      nodeSchema.parse(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input', unrepresentable: 'any' }))
    const objects = [...objectsOf(toNode(spec), `${plural}.spec`), ...objectsOf(toNode(status), `${plural}.status`)]
    expect(objects.length).toBeGreaterThan(5)
    for (const { path, fields } of objects) {
      const explained = await explain(path)
      const unexplained = fields.filter(
        (field) => !/[a-z]/.test(explained.get(field)?.replace('<no description>', '') ?? ''),
      )
      expect(unexplained, path).toEqual([])
    }
  })

  test('`po` still means pods, and the short names and the category mean ours alone', async () => {
    expect(await kubectl.run(['explain', 'po'])).toMatch(/^KIND: +Pod$/m)
    const resources = (await kubectl.run(['api-resources', '--no-headers']))
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
    for (const { shortName, plural } of kinds) {
      const named = resources.filter(([, shortNames]) => shortNames?.split(',').includes(shortName))
      expect(named.map(([name]) => name)).toEqual([plural])
    }
    const category = await kubectl.run(['api-resources', '--categories=lamina', '-o', 'name'])
    expect(category.trim().split('\n').sort()).toEqual(kinds.map(({ plural }) => `${plural}.lamina.dev`).sort())
  })

  test.each([
    ['cimg', image('shown'), 'NAME IMAGE READY REASON AGE', 'DIGEST MESSAGE'],
    ['ovl', persistentOverlay('shown'), 'NAME SIZE READY REASON HOLDER HEALTHY AGE', 'CLAIM USED MESSAGE'],
    ['inst', instance('shown', { state: 'Stopped' }), 'NAME IMAGE READY RUNNING REASON EXIT AGE', 'NODE MESSAGE'],
  ])('get %s shows what matters first', async (shortName, object, columns, wide) => {
    await fixture.apply(object)
    const header = async (...flags: string[]) =>
      (await kubectl.run(['-n', fixture.namespace, 'get', shortName, ...flags])).split('\n')[0]?.trim().split(/\s+/)
    expect(await header()).toEqual(columns.split(' '))
    expect(new Set(await header('-o', 'wide'))).toEqual(new Set([...columns.split(' '), ...wide.split(' ')]))
  })
})
