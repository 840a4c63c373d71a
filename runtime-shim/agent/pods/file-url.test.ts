import { describe, expect, test } from 'vitest'
import type { KubeClient } from '../../../kube/client.ts'
import { containerImages, instances } from '../../../kube/resources.ts'
import { digestOf, genImage, genInstance, genPod } from '../../../test/gen/objects.ts'
import { readUrl } from './file-url.ts'

const reference = (path: string) => ({
  reference: `https://files.example/${path}@${digestOf('a')}`,
  digest: digestOf('a'),
})
const imageAt = (url: string) => genImage('debian', { spec: { source: { file: { url, sha256: 'a'.repeat(64) } } } })

const look = async (url: string, name = reference('a.sif')) => {
  const reads: string[] = []
  const client: Pick<KubeClient, 'get'> = {
    get: async (resource) => {
      reads.push(resource.kind)
      if (resource.kind === instances.kind) return resource.parse(genInstance('dev'))
      return resource.kind === containerImages.kind ? resource.parse(imageAt(url)) : undefined
    },
  }
  return { url: await readUrl(client, genPod('dev'), name), reads }
}

describe('the URL of a file', () => {
  test('has the query that the spec has now: a signature', async () => {
    const signed = 'https://files.example/a.sif?X-Amz-Signature=one'
    expect((await look(signed)).url).toBe(signed)
  })

  test('is not that of another file, to which the image has been changed since', async () => {
    expect((await look('https://files.example/b.sif?X-Amz-Signature=one')).url).toBeUndefined()
  })

  test('is not asked for an image of a registry', async () => {
    const name = { reference: `registry.example/debian@${digestOf('a')}`, digest: digestOf('a') }
    expect(await look('https://files.example/a.sif', name)).toEqual({ url: undefined, reads: [] })
  })
})
