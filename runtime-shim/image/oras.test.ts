import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { mergeDockerConfigs } from './docker-config.ts'
import { CacheFullError, NoSpaceError, RegistryError } from './errors.ts'
import { fetchImage } from './fetch.ts'
import { resolveArtifact } from './oras.ts'
import type { RegistryAccess } from './skopeo.ts'
import type { Room } from './space.ts'
import { sha256 } from './testing/image.ts'
import { startRegistry, type TestRegistry } from './testing/registry.ts'
import { withSmallDisk } from './testing/small-disk.ts'

const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const sif = await readFile(join(import.meta.dirname, '../../test/fixtures/minimal.sif'))
const large = randomBytes(12 * 2 ** 20)
const larger = randomBytes(20 * 2 ** 20)
const empty = Buffer.from('{}')

/** As apptainer push writes it. */
const sylabs = {
  config: 'application/vnd.sylabs.sif.config.v1+json',
  layer: 'application/vnd.sylabs.sif.layer.v1.sif',
}
/** As oras push does without being told more. */
const plain = { config: 'application/vnd.oci.empty.v1+json', layer: 'application/octet-stream' }

let registry: TestRegistry
beforeAll(async () => {
  registry = await startRegistry()
  vi.stubEnv('HOME', registry.home)
  for (const blob of [sif, large, larger, empty]) await registry.putBlob('test/tools', blob)
  const put = (tag: string, files: readonly Buffer[], types: typeof sylabs, mediaType: object = {}) => {
    const of = (type: string, blob: Buffer) => ({
      ...{ mediaType: type, digest: `sha256:${sha256(blob)}`, size: blob === larger ? 10 : blob.length },
    })
    const manifest = { schemaVersion: 2, ...mediaType, config: of(types.config, empty) }
    const layers = files.map((file) => of(types.layer, file))
    return registry.putManifest('test/tools', tag, manifestType, { ...manifest, layers })
  }
  await put('sif', [sif], sylabs)
  await put('plain', [sif], plain, { mediaType: manifestType })
  await put('large', [large], plain)
  await put('larger', [larger], plain)
  await put('two', [sif, large], sylabs)
  await put('image', [sif], { config: 'application/vnd.oci.image.config.v1+json', layer: plain.layer })
})
afterAll(() => registry.stop())

let scratchDir: string
let access: RegistryAccess
beforeEach(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'lamina-oras-'))
  const authFile = join(registry.home, 'auth.json')
  await writeFile(authFile, mergeDockerConfigs([registry.dockerConfig]))
  access = { authFile, scratchDir }
})
afterEach(() => rm(scratchDir, { recursive: true }))

const never = new AbortController().signal
const resolve = (tag: string, by = access) => resolveArtifact(`oras://${registry.host}/test/tools:${tag}`, by, never)
const fetched = (reference: string, dir = scratchDir, room?: Room) => {
  const digest = reference.slice(reference.indexOf('@') + 1)
  const target = join(dir, 'image')
  return fetchImage({ reference, digest, access, target, scratchDir: dir, signal: never, onProgress: () => {}, room })
}

describe.each(['sif', 'plain'])('an artifact pushed as %s', (tag) => {
  test('resolves to its manifest, and tells of its file', async () => {
    const found = await resolve(tag)
    expect(found).toEqual({
      reference: `oras://${registry.host}/test/tools@${found.digest}`,
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      sizeBytes: sif.length,
      fileDigest: `sha256:${sha256(sif)}`,
    })
    expect(await resolveArtifact(found.reference, access, never)).toEqual(found)
  })

  test('is fetched as the file that it holds, for root alone; nothing else is left', async () => {
    expect(await fetched((await resolve(tag)).reference)).toEqual({
      sizeBytes: sif.length,
      fetchedBytes: sif.length,
      user: '',
      fileDigest: `sha256:${sha256(sif)}`,
    })
    expect(await readdir(scratchDir)).toEqual(['image'])
    expect((await readFile(join(scratchDir, 'image'))).equals(sif)).toBe(true)
    expect((await stat(join(scratchDir, 'image'))).mode & 0o777).toBe(0o400)
  })
})

describe('what is no artifact with one file is refused', () => {
  const refused = async (attempt: Promise<unknown>, message: RegExp): Promise<void> => {
    await expect(attempt).rejects.toThrow(RegistryError)
    await expect(attempt).rejects.toThrow(message)
  }

  test('several files', () => refused(resolve('two'), /test\/tools:two has 2 files, and must have one/))
  test('a container image', () => refused(resolve('image'), /is a container image, not a file: name it in/))
  test('a tag that is not there', () => refused(resolve('none'), /is not in the registry/))
  test('missing credentials: the field is named', () =>
    refused(resolve('sif', { authFile: undefined, scratchDir }), /in spec\.source\.file\.pullSecrets/))
})

describe('nothing is left', () => {
  test('when the file does not fit the disk', async () => {
    const { reference } = await resolve('large')
    await withSmallDisk({ mebibytes: 8 }, async (disk) => {
      await expect(fetched(reference, disk)).rejects.toThrow(NoSpaceError)
      expect(await readdir(disk)).toEqual(['lost+found'])
    })
  })

  test('when there is more than the manifest says', async () => {
    const { reference, sizeBytes } = await resolve('larger')
    expect(sizeBytes).toBe(10)
    await expect(fetched(reference)).rejects.toThrow(RegistryError)
    expect(await readdir(scratchDir)).toEqual([])
  })

  test('when it is larger than the cache has room for', async () => {
    const { reference } = await resolve('large')
    await expect(fetched(reference, scratchDir, { keepFree: 0, most: 2 ** 20 })).rejects.toThrow(CacheFullError)
    expect(await readdir(scratchDir)).toEqual([])
  })

  test('when the registry gives other bytes', async () => {
    const { reference, fileDigest } = await resolve('large')
    await registry.corrupt(fileDigest)
    await expect(fetched(reference)).rejects.toThrow(/cannot be read .*[Dd]igest did not match/)
    expect(await readdir(scratchDir)).toEqual([])
  })
})
