import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { crdFile, crdOf, kinds } from '../../crds/generate.ts'
import { testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { containerImage, inNamespace, instance, persistentOverlay } from './support/objects.ts'
import { controllerUser } from './support/operator.ts'

const { kubectl } = await testCluster()

const examples = join(import.meta.dirname, '../../examples')

let fixture: Fixture
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'crds')
})
afterAll(() => fixture.destroy())

type KubeObject = Record<string, unknown> & { metadata: object }

/** The API server's verdict on the object; nothing is stored. */
const judge = (verb: 'create' | 'replace', object: KubeObject) =>
  kubectl.try([verb, '--dry-run=server', '-o', 'json', '-f', '-'], {
    input: JSON.stringify(inNamespace(fixture.namespace, object)),
  })

const expectRefused = async (verdict: ReturnType<typeof judge>, message: string): Promise<void> => {
  const { exitCode, stderr } = await verdict
  expect(stderr).toContain(message)
  expect(exitCode).not.toBe(0)
}

const expectAllowed = async (verdict: ReturnType<typeof judge>): Promise<void> => {
  const { exitCode, stderr } = await verdict
  expect(stderr).toBe('')
  expect(exitCode).toBe(0)
}

const image = (name: string) => containerImage(name, 'debian:12')
const imageFrom = (source: object, spec: object = {}) => ({ ...image('from'), spec: { source, ...spec } })
const sum = 'a'.repeat(64)
const file = (url: string, more: object = { sha256: sum }) => imageFrom({ file: { url, ...more } })
const onVolume = (volume: object) => imageFrom({ volume: { claimName: 'images', ...volume } })
const onClaim = (storage: object, spec: object = {}) =>
  overlay('existing', { storage: { existingClaimName: 'mine', ...storage }, ...spec })
const overlay = (name: string, spec: object) => ({ ...persistentOverlay(name), spec })
const running = (spec: object) => instance('dev', { ...spec })
const templated = (spec: object) => running({ podTemplate: { spec } })
const reader = { name: 'base', access: 'ReadOnly' as const }

const labelMessage = (longest: number) =>
  `metadata.name must be a DNS label of at most ${longest} characters: lower-case letters, digits and "-"`

/** Every rule that looks at one object, with what it lets pass and what not. */
const creations: { message: string; allowed: KubeObject[]; refused: KubeObject[] }[] = [
  {
    message: labelMessage(63),
    allowed: [image('a'.repeat(63)), running({})],
    refused: [image('a'.repeat(64)), image('dotted.name'), instance('dotted.name', {}), instance('a'.repeat(64), {})],
  },
  {
    message: labelMessage(54),
    allowed: [overlay('a'.repeat(54), {}), overlay('1-a', {})],
    refused: [overlay('a'.repeat(55), {}), overlay('dotted.name', {})],
  },
  {
    message: 'size must be a quantity of at least 16Mi, such as 1Gi',
    allowed: [overlay('small', { size: '16Mi' }), overlay('exact', { size: '1.5G' })],
    refused: [
      overlay('smaller', { size: '15Mi' }),
      overlay('words', { size: 'big' }),
      overlay('neg', { size: '-1Gi' }),
    ],
  },
  {
    message: 'source needs exactly one of registry, file and volume',
    allowed: [image('one'), file('https://example.com/tools.sif'), onVolume({})],
    refused: [imageFrom({}), imageFrom({ registry: { image: 'debian' }, volume: { claimName: 'images' } })],
  },
  {
    message: 'url must be https://host/… or oras://registry/repository:tag',
    allowed: [file('https://example.com:8443/a/b.sif?version=1'), file('oras://ghcr.io/owner/name:1', {})],
    refused: [
      'http://example.com/tools.sif',
      'docker://debian',
      'https://',
      '/tools.sif',
      'oras://',
      'oras://host',
    ].map((url) => file(url)),
  },
  {
    message: 'url has no place for credentials: use pullSecrets with oras, or a file that is open to all',
    allowed: [file('https://example.com/user@host'), file(`oras://ghcr.io/owner/name@sha256:${sum}`, {})],
    refused: [file('https://user:secret@example.com/tools.sif'), file('oras://user@ghcr.io/owner/name:1', {})],
  },
  {
    message: 'sha256 is required with https: give what sha256sum says of the file',
    allowed: [file('https://example.com/tools.sif'), file('oras://ghcr.io/owner/name:1', {})],
    refused: [file('https://example.com/tools.sif', {})],
  },
  {
    message: 'pullSecrets are for registries: leave them out with https',
    allowed: [file('oras://ghcr.io/owner/name:1', { pullSecrets: [{ name: 'registry' }] })],
    refused: [file('https://example.com/tools.sif', { sha256: sum, pullSecrets: [{ name: 'registry' }] })],
  },
  {
    message: 'a claim that holds an overlay cannot be an image: use another',
    allowed: [onVolume({ claimName: 'images' })],
    refused: [onVolume({ claimName: 'lamina-dev' })],
  },
  {
    message: 'path is relative to the volume and has neither . nor ..: images/tools.sif',
    allowed: [onVolume({ path: '' }), onVolume({ path: 'a/.hidden/..b' })],
    refused: [
      onVolume({ path: '/a' }),
      onVolume({ path: '../a' }),
      onVolume({ path: 'a/./b' }),
      onVolume({ path: '..' }),
    ],
  },
  {
    message: 'prefetch is for images that nodes fetch: leave it out with an image on a volume',
    allowed: [imageFrom({ registry: { image: 'debian' } }, { prefetch: { nodeSelector: { disk: 'ssd' } } })],
    refused: [imageFrom({ volume: { claimName: 'images' } }, { prefetch: {} })],
  },
  {
    message: 'a claim lamina-* belongs to the overlay of that name: use that one, or a claim of your own',
    allowed: [onClaim({})],
    refused: [onClaim({ existingClaimName: 'lamina-dev' })],
  },
  {
    message: 'path is relative to the volume and has neither . nor ..: overlays/tools.img',
    allowed: [onClaim({ path: 'overlays/tools.img' })],
    refused: [onClaim({ path: '/overlay.img' }), onClaim({ path: 'a/../b' }), onClaim({ path: '' })],
  },
  {
    message: 'storageClassName is for a claim that is made: leave it out with existingClaimName',
    allowed: [overlay('classed', { storage: { storageClassName: 'loop' } })],
    refused: [onClaim({ storageClassName: 'loop' })],
  },
  {
    message: 'path is for an existing claim with a file system: set existingClaimName, or leave path out',
    allowed: [onClaim({ path: 'a.img' }), onClaim({ volumeMode: 'Block' })],
    refused: [overlay('placed', { storage: { path: 'a.img' } }), onClaim({ volumeMode: 'Block', path: 'a.img' })],
  },
  {
    message: 'format: Directory needs a volume with a file system: set storage.volumeMode: Filesystem',
    allowed: [overlay('plain', { format: 'Directory' }), overlay('block', { storage: { volumeMode: 'Block' } })],
    refused: [overlay('both', { format: 'Directory', storage: { volumeMode: 'Block' } })],
  },
  {
    message: 'ext3 is for format: Image: leave one of the two out',
    allowed: [overlay('tuned', { ext3: { bytesPerInode: 4096, reservedPercent: 1, allocation: 'Sparse' } })],
    refused: [overlay('both', { format: 'Directory', ext3: {} })],
  },
  {
    message:
      'ext3 says how a file system is made, and what is on an existing claim stays as it is: leave one of the two out',
    allowed: [onClaim({})],
    refused: [onClaim({}, { ext3: { reservedPercent: 1 } })],
  },
  {
    message: 'ext3.allocation is for an image in a volume with a file system: leave it out with volumeMode: Block',
    allowed: [overlay('block', { storage: { volumeMode: 'Block' }, ext3: { reservedPercent: 1 } })],
    refused: [overlay('block', { storage: { volumeMode: 'Block' }, ext3: { allocation: 'Sparse' } })],
  },
  {
    message: 'an existing claim is never deleted by Lamina: set reclaimPolicy: Retain',
    allowed: [onClaim({}, { reclaimPolicy: 'Retain' }), overlay('own', { reclaimPolicy: 'Delete' })],
    refused: [onClaim({}, { reclaimPolicy: 'Delete' })],
  },
  {
    message: 'at most one overlay can be ReadWrite: set access: ReadOnly on the others',
    allowed: [running({ overlays: ['mine', reader] }), running({ overlays: [reader, { ...reader, name: 'more' }] })],
    refused: [running({ overlays: ['mine', 'yours'] })],
  },
  {
    message: 'sizeLimit must be a quantity above 0, such as 2Gi',
    allowed: [running({ ephemeral: { sizeLimit: '2Gi' } }), running({ ephemeral: { medium: 'Memory' } })],
    refused: ['two', '0', '-5Mi'].map((sizeLimit) => running({ ephemeral: { sizeLimit } })),
  },
  {
    message: 'ephemeral is for an instance without a ReadWrite overlay: leave one of the two out',
    allowed: [running({ ephemeral: {} }), running({ ephemeral: {}, overlays: [reader] })],
    refused: [running({ ephemeral: {}, overlays: ['mine'] })],
  },
  {
    message: 'entrypoint says what runs without command and args: leave it out, or those',
    allowed: [running({ entrypoint: 'Image' }), running({ command: ['true'], args: ['x'] })],
    refused: [running({ entrypoint: 'Image', command: ['true'] }), running({ entrypoint: 'Idle', args: ['x'] })],
  },
  {
    message: 'runtimeClassName is set by Lamina: leave it out',
    allowed: [templated({ priorityClassName: 'high' })],
    refused: [templated({ runtimeClassName: 'lamina' })],
  },
  {
    message: 'nodeName would pass the scheduler by: use nodeSelector or affinity',
    allowed: [templated({ nodeSelector: { disk: 'fast' } })],
    refused: [templated({ nodeName: 'localhost' })],
  },
  {
    message: 'hostUsers: false is not possible: an overlay would keep shifted owners',
    allowed: [templated({ hostUsers: true }), running({ podTemplate: { metadata: { labels: { a: 'b' } } } })],
    refused: [templated({ hostUsers: false })],
  },
  {
    message: 'set spec.restartPolicy of the Instance, not of its podTemplate',
    allowed: [running({ restartPolicy: 'Never' })],
    refused: [templated({ restartPolicy: 'Never' })],
  },
]

/** Every rule that compares with what was there. */
const updates: { message: string; before: KubeObject; allowed: KubeObject[]; refused: KubeObject[] }[] = [
  {
    message: 'size cannot shrink: make a smaller overlay and copy what you need',
    before: overlay('sized', { size: '64Mi' }),
    allowed: [overlay('sized', { size: '65Mi' }), overlay('sized', { size: '65536Ki' })],
    refused: [overlay('sized', { size: '63Mi' })],
  },
  {
    message: 'storage cannot be changed: make another overlay',
    before: overlay('stored', { size: '64Mi', storage: { storageClassName: 'loop' } }),
    allowed: [overlay('stored', { size: '65Mi', storage: { storageClassName: 'loop', accessMode: 'ReadWriteOnce' } })],
    refused: [
      overlay('stored', { size: '64Mi', storage: { storageClassName: 'loop-immediate' } }),
      overlay('stored', { size: '64Mi', storage: { storageClassName: 'loop', accessMode: 'ReadWriteMany' } }),
      overlay('stored', { size: '64Mi' }),
      overlay('stored', { size: '64Mi', storage: { storageClassName: 'loop', volumeMode: 'Block' } }),
    ],
  },
  {
    message: 'format cannot be changed: make another overlay',
    before: overlay('formed', { size: '64Mi' }),
    allowed: [overlay('formed', { size: '64Mi', format: 'Image' })],
    refused: [overlay('formed', { size: '64Mi', format: 'Directory' })],
  },
  {
    message: 'ext3 cannot be changed: make another overlay',
    before: overlay('tuned', { size: '64Mi', ext3: { bytesPerInode: 4096 } }),
    allowed: [overlay('tuned', { size: '65Mi', ext3: { bytesPerInode: 4096 } })],
    refused: [overlay('tuned', { size: '64Mi' }), overlay('tuned', { size: '64Mi', ext3: { bytesPerInode: 8192 } })],
  },
  {
    message: 'ext3 cannot be changed: make another overlay',
    before: overlay('untuned', { size: '64Mi' }),
    allowed: [overlay('untuned', { size: '65Mi' })],
    refused: [overlay('untuned', { size: '64Mi', ext3: {} })],
  },
]

const attachmentsMessage = 'one writer, or readers: never both'

describe('rules', () => {
  test.each(creations)('$message', async ({ message, allowed, refused }) => {
    for (const object of allowed) await expectAllowed(judge('create', object))
    for (const object of refused) await expectRefused(judge('create', object), message)
  })

  test.each(updates)('$message', async ({ message, before, allowed, refused }) => {
    await fixture.apply(before)
    for (const object of allowed) await expectAllowed(judge('replace', object))
    for (const object of refused) await expectRefused(judge('replace', object), message)
  })

  test(attachmentsMessage, async () => {
    await fixture.apply(persistentOverlay('held'))
    const attached = (...access: ('ReadWrite' | 'ReadOnly')[]) =>
      kubectl.try([
        ...[
          '-n',
          fixture.namespace,
          '--as',
          controllerUser,
          '--as-group',
          'system:masters',
          'patch',
          'persistentoverlay',
          'held',
        ],
        ...['--subresource=status', '--type=merge', '--dry-run=server', '-p'],
        JSON.stringify({
          status: {
            attachments: access.map((one, index) => ({
              instanceUID: String(index),
              instanceName: `i${index}`,
              access: one,
              attachTime: '2026-01-01T00:00:00Z',
            })),
          },
        }),
      ])
    for (const allowed of [attached(), attached('ReadWrite'), attached('ReadOnly', 'ReadOnly')]) {
      await expectAllowed(allowed)
    }
    await expectRefused(attached('ReadWrite', 'ReadOnly'), attachmentsMessage)
    await expectRefused(attached('ReadWrite', 'ReadWrite'), attachmentsMessage)
  })

  test('are all tried here', () => {
    const tried = [...creations, ...updates].map(({ message }) => message)
    const text = JSON.stringify(kinds.map(crdOf))
    const declared = [...text.matchAll(/"rule":"(?:[^"\\]|\\.)*","message":("(?:[^"\\]|\\.)*")/g)].map(([, message]) =>
      z.string().parse(JSON.parse(message ?? '')),
    )
    expect(new Set(declared)).toEqual(new Set([...tried, attachmentsMessage]))
  })
})

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
    const made = async (object: KubeObject) => JSON.parse((await judge('create', object)).stdout)
    expect(await made(overlay('defaults', {}))).toMatchObject({
      spec: {
        ...{ size: '1Gi', format: 'Image', reclaimPolicy: 'Retain' },
        storage: { accessMode: 'ReadWriteOnce', volumeMode: 'Filesystem' },
      },
      status: { observedGeneration: -1 },
    })
    expect(await made({ ...running({}), spec: { imageRef: { name: 'debian' } } })).toMatchObject({
      spec: { overlays: [], state: 'Running', restartPolicy: 'Always' },
      status: { observedGeneration: -1 },
    })
    expect(await made(image('defaults'))).toMatchObject({ status: { observedGeneration: -1 } })
  })

  test.each([
    ['a misspelt field', running({ imagRef: { name: 'x' } }), 'unknown field "spec.imagRef"'],
    [
      'a misspelt field of the pod',
      templated({ nodeSelectors: {} }),
      'unknown field "spec.podTemplate.spec.nodeSelectors"',
    ],
    ['an unknown word', running({ state: 'Paused' }), 'Unsupported value: "Paused"'],
    ['an image without a source', { ...image('none'), spec: {} }, 'spec.source: Required value'],
    ['an instance without an image', { ...running({}), spec: {} }, 'spec.imageRef: Required value'],
    ['a sum that is none', file('https://example.com/x', { sha256: 'A'.repeat(64) }), 'spec.source.file.sha256'],
    ['too dense inodes', overlay('dense', { ext3: { bytesPerInode: 1 } }), 'spec.ext3.bytesPerInode'],
    ['an overlay twice', running({ overlays: [reader, reader] }), 'Duplicate value'],
  ])('refuse %s', async (_what, object, message) => {
    await expectRefused(judge('create', object), message)
  })
})

test.each([
  ['examples', '.'],
  ['examples of the quickstart', 'quickstart'],
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
