import { describe, expect, test } from 'vitest'
import { ApiError } from '../../kube/client.ts'
import { type DaemonSet, daemonSets } from '../../kube/resources.ts'
import { genImage, genResolved } from '../../test/gen/objects.ts'
import { ensurePrefetch } from './ensure-prefetch.ts'
import { prefetchOf } from './prefetch.ts'
import type { Finding } from './resolve.ts'

const source = { registry: { image: 'x' } }
const asks = genImage('tools', { spec: { source, prefetch: {} } })
const silent = genImage('tools', { spec: { source } })
const resolved = (letter = 'a'): Finding => ({ kind: 'resolved', resolved: genResolved(letter) })
const failed: Finding = { kind: 'failed', reason: 'ImageUnreachable', message: 'm' }
const notAllowed: Finding = { kind: 'notAllowed', reason: 'SourceNotAllowed', message: 'm' }

const made = (image = asks, letter = 'a'): DaemonSet =>
  daemonSets.parse(JSON.parse(JSON.stringify(prefetchOf(image, genResolved(letter), 'lamina:1'))))

/** What a pass does where this DaemonSet is. */
const pass = async (image: typeof asks, finding: Finding, there?: DaemonSet, refusal?: ApiError) => {
  const writes: string[] = []
  const bodies: unknown[] = []
  const found = await ensurePrefetch(
    {
      client: {
        get: async () => undefined,
        apply: async (resource, body) => {
          if (refusal) throw refusal
          writes.push('apply')
          bodies.push(body)
          return resource.parse(JSON.parse(JSON.stringify(body)))
        },
        delete: async () => {
          writes.push('delete')
          return true
        },
      },
      caches: { daemonSets: { get: () => there, note: () => {} }, prefetchPods: { by: () => [] } },
      settings: { placeholderImage: 'lamina:1' },
    },
    image,
    finding,
  )
  return { found, writes, bodies }
}

describe('the DaemonSet of a prefetch is', () => {
  test.each<[string, typeof asks, Finding, DaemonSet | undefined, string, string[]]>([
    ['made when the image is resolved', asks, resolved(), undefined, 'there', ['apply']],
    ['left alone when it is as it must be', asks, resolved(), made(), 'there', []],
    ['brought to another digest', asks, resolved('b'), made(), 'there', ['apply']],
    ['not made of an image that is not resolved', asks, failed, undefined, 'waiting', []],
    ['kept while the registry is away', asks, failed, made(), 'waiting', []],
    ['removed when it is no longer asked for', silent, resolved(), made(), 'none', ['delete']],
    ['removed when the source is no longer allowed', asks, notAllowed, made(), 'waiting', ['delete']],
    ['nothing that is missed where nobody asks', silent, resolved(), undefined, 'none', []],
  ])('%s', async (_, image, finding, there, kind, writes) => {
    expect(await pass(image, finding, there)).toMatchObject({ found: { kind }, writes })
  })

  test('brought to another digest only while it is still the same DaemonSet', async () => {
    const there = { ...made(), metadata: { ...made().metadata, uid: 'uid-daemonset' } }
    expect((await pass(asks, resolved('b'), there)).bodies).toMatchObject([{ metadata: { uid: 'uid-daemonset' } }])
    expect((await pass(asks, resolved('b'))).bodies).not.toMatchObject([{ metadata: { uid: expect.anything() } }])
  })

  test.each(['apply', 'delete'])('not taken from another owner: no %s', async (verb) => {
    const foreign = made(genImage('tools', { metadata: { uid: 'uid-other' } }))
    const { found, writes } = await pass(verb === 'apply' ? asks : silent, resolved('b'), foreign)
    expect(writes).toEqual([])
    expect(found).toMatchObject(verb === 'apply' ? { kind: 'refused', reason: 'PrefetchNameTaken' } : { kind: 'none' })
  })

  test('refused in the API server’s words', async () => {
    const refusal = new ApiError('POST …: exceeded quota (403 Forbidden)', {
      ...{ status: 403, reason: 'Forbidden', words: 'exceeded quota' },
    })
    expect((await pass(asks, resolved(), undefined, refusal)).found).toEqual({
      kind: 'refused',
      reason: 'PrefetchRefused',
      message: expect.stringContaining('exceeded quota'),
    })
  })
})
