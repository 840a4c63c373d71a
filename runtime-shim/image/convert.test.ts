import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Platform } from '../../crds/common.ts'
import { convertImage } from './convert.ts'
import { mergeDockerConfigs } from './docker-config.ts'
import { NoSpaceError, RegistryError } from './errors.ts'
import { manifestSchema } from './manifest.ts'
import { copyToDirectory, type RegistryAccess, resolveImage } from './skopeo.ts'
import { archive, directory, file } from './testing/archive.ts'
import { sha256, writeImageDirectory } from './testing/image.ts'
import { list, withMounted } from './testing/mounted.ts'
import { startRegistry, type TestRegistry } from './testing/registry.ts'
import { withSmallDisk } from './testing/small-disk.ts'

const indexType = 'application/vnd.oci.image.index.v1+json'
const manifestType = 'application/vnd.oci.image.manifest.v1+json'

const layers = [{ archive: archive(directory('d'), file('d/f', 'content')) }]
const configuration = {
  config: {
    Entrypoint: ['/entry'],
    Cmd: ['one', 'two'],
    Env: ['PATH=/bin', 'EMPTY='],
    User: 'worker',
    WorkingDir: '/work',
    StopSignal: 'SIGQUIT',
    Labels: { not: 'ours' },
  },
}

let registry: TestRegistry
let pushed: { amd64: string; arm64: string }
beforeAll(async () => {
  registry = await startRegistry()
  vi.stubEnv('HOME', registry.home)
  const dir = await mkdtemp(join(tmpdir(), 'lamina-push-'))
  const push = async (name: string, config: object): Promise<string> => {
    const image = join(dir, name.replaceAll(/\W/g, '-'))
    await writeImageDirectory(image, layers, config)
    await registry.push(image, name)
    return `sha256:${sha256(await readFile(join(image, 'manifest.json')))}`
  }
  pushed = {
    amd64: await push('test/app:1', configuration),
    arm64: await push('test/app:arm', { architecture: 'arm64', variant: 'v8' }),
  }
  const one = (digest: string, architecture: string, os = 'linux') => ({
    ...{ mediaType: manifestType, digest, size: 500 },
    platform: { os, architecture },
  })
  await registry.putManifest('test/app', 'many', indexType, {
    schemaVersion: 2,
    mediaType: indexType,
    manifests: [one(pushed.amd64, 'amd64'), one(pushed.arm64, 'arm64'), one(pushed.arm64, 'unknown', 'unknown')],
  })
  await registry.push(join(dir, 'test-app-1'), 'test/docker:1', 'v2s2')
  await writeImageDirectory(join(dir, 'large'), [{ archive: archive(file('f', randomBytes(12 * 2 ** 20))) }])
  await registry.push(join(dir, 'large'), 'test/large:1')
  await rm(dir, { recursive: true })
})
afterAll(() => registry.stop())

let scratchDir: string
let access: RegistryAccess
beforeEach(async () => {
  scratchDir = await mkdtemp(join(tmpdir(), 'lamina-scratch-'))
  const authFile = join(registry.home, 'auth.json')
  await writeFile(authFile, mergeDockerConfigs([registry.dockerConfig]))
  access = { authFile, scratchDir }
})
afterEach(() => rm(scratchDir, { recursive: true }))

const never = new AbortController().signal
const resolve = (name: string, platform?: Platform, by = access) =>
  resolveImage(`${registry.host}/${name}`, platform, by, never)
const arm = { os: 'linux', architecture: 'arm64' }
const amd = { os: 'linux', architecture: 'amd64' }

describe('a reference resolves', () => {
  test('to digest, size and what of the configuration concerns running', async () => {
    const manifest = manifestSchema.parse(JSON.parse(await readFile(join(await copied(), 'manifest.json'), 'utf8')))
    expect(await resolve('test/app:1')).toEqual({
      reference: `${registry.host}/test/app@${pushed.amd64}`,
      digest: pushed.amd64,
      platform: { os: 'linux', architecture: 'amd64' },
      sizeBytes: manifest.layers[0]?.size,
      config: {
        entrypoint: ['/entry'],
        cmd: ['one', 'two'],
        env: ['PATH=/bin', 'EMPTY='],
        user: 'worker',
        workingDir: '/work',
        stopSignal: 'SIGQUIT',
      },
    })
  })

  const copied = async (): Promise<string> => {
    const dir = join(scratchDir, 'copy')
    await copyToDirectory(`${registry.host}/test/app@${pushed.amd64}`, access, dir, {
      signal: never,
      onProgress: () => {},
    })
    return dir
  }

  test('by digest to itself, whatever tag stands beside it', async () => {
    const found = await resolve(`test/app:gone@${pushed.amd64}`)
    expect(found).toMatchObject({ digest: pushed.amd64, reference: `${registry.host}/test/app@${pushed.amd64}` })
  })

  test("in Docker's format as in OCI's", async () => {
    const [oci, docker] = [await resolve('test/app:1'), await resolve('test/docker:1')]
    expect(docker).toEqual({
      ...oci,
      digest: docker.digest,
      reference: `${registry.host}/test/docker@${docker.digest}`,
    })
    expect(docker.digest).not.toBe(oci.digest)
  })

  test('of several platforms to the one that is asked for', async () => {
    expect(await resolve('test/app:many', arm)).toMatchObject({ digest: pushed.arm64, platform: arm })
    expect(await resolve('test/app:many', amd)).toMatchObject({ digest: pushed.amd64, config: { user: 'worker' } })
  })

  test("without a platform to this processor's, or the only one there is", async () => {
    const own = process.arch === 'arm64' ? pushed.arm64 : pushed.amd64
    expect(await resolve('test/app:many')).toMatchObject({ digest: own })
    expect(await resolve('test/app:arm')).toMatchObject({ platform: { ...arm, variant: 'v8' }, config: {} })
  })
})

describe('what does not resolve says why and what to do', () => {
  const refused = async (attempt: Promise<unknown>, kind: RegistryError['kind'], message: RegExp): Promise<void> => {
    await expect(attempt).rejects.toThrow(RegistryError)
    await expect(attempt).rejects.toThrow(message)
    await expect(attempt).rejects.toThrow(expect.objectContaining({ kind }))
  }

  test('a tag or repository that is not there', async () => {
    await refused(
      resolve('test/app:nope'),
      'NotFound',
      /test\/app:nope" is not in the registry.*check its name and tag/,
    )
    await refused(resolve('test/none:1'), 'NotFound', /test\/none:1"/)
  })

  test('missing credentials, although the system has some', async () => {
    const docker = join(registry.home, '.docker')
    await mkdir(docker)
    await writeFile(join(docker, 'config.json'), registry.dockerConfig)
    const nobody = { authFile: undefined, scratchDir }
    await refused(
      resolve('test/app:1', undefined, nobody),
      'Unauthorized',
      /name a Secret .* in spec\.source\.registry\.pullSecrets/,
    )
  })

  test('credentials that do not do', async () => {
    const auth = Buffer.from('reader:wrong').toString('base64')
    const authFile = join(scratchDir, 'auth.json')
    await writeFile(authFile, mergeDockerConfigs([JSON.stringify({ auths: { [registry.host]: { auth } } })]))
    await refused(
      resolve('test/app:1', undefined, { authFile, scratchDir }),
      'Unauthorized',
      /credentials of spec\.source\.registry\.pullSecrets/,
    )
  })

  test('a registry that does not answer', async () => {
    await refused(
      resolveImage('127.0.0.1:1/test/app', undefined, access, never),
      'Unreachable',
      /127\.0\.0\.1:1\/test\/app:latest" cannot be reached.*connection refused/,
    )
  })

  test('a platform that it is not there for', async () => {
    const other = { os: 'linux', architecture: 's390x' }
    await refused(
      resolve('test/app:many', other),
      'NoPlatform',
      /not there for linux\/s390x, only for linux\/amd64, linux\/arm64: set spec\.platform/,
    )
    await refused(resolve('test/app:1', other), 'NoPlatform', /only for linux\/amd64/)
  })

  test('something that is no reference', async () => {
    await refused(
      resolveImage('Not/Valid', undefined, access, never),
      'Invalid',
      /"Not\/Valid" is not an image reference/,
    )
    await refused(resolveImage('dir:/etc', undefined, access, never), 'Invalid', /is not an image reference/)
  })

  test('a stop is passed on, though the registry is silent', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await new Promise((listening) => silent.once('listening', listening))
    const address = silent.address()
    const port = typeof address === 'object' ? address?.port : 0
    const attempt = resolveImage(`127.0.0.1:${port}/a/b`, undefined, access, AbortSignal.timeout(300))
    await expect(attempt).rejects.toThrow(/timeout/)
    silent.close()
  })
})

describe('an image in a registry becomes a squashfs', () => {
  const convert = (reference: string, target: string, scratch = scratchDir, signal = never) =>
    convertImage({ reference, access, target, scratchDir: scratch, signal, onProgress: () => {} })

  test('that can be mounted; nothing else is left', async () => {
    const target = join(scratchDir, 'root.squashfs')
    const { sizeBytes } = await convert(`${registry.host}/test/app@${pushed.amd64}`, target)
    expect(await readdir(scratchDir)).toEqual(['root.squashfs'])
    expect((await readFile(target)).length).toBe(sizeBytes)
    expect(Object.keys(await withMounted(target, list))).toEqual(['d', 'd/f'])
  })

  test('or nothing, when the download does not fit the disk', async () => {
    const { reference } = await resolve('test/large:1')
    await withSmallDisk({ mebibytes: 8 }, async (disk) => {
      const attempt = convert(reference, join(scratchDir, 'root.squashfs'), disk)
      await expect(attempt).rejects.toThrow(NoSpaceError)
      await expect(attempt).rejects.toThrow(
        /no space left on .*: the image takes about 1[23] MiB there, and \d MiB are free/,
      )
      expect(await readdir(disk)).toEqual(['lost+found'])
    })
    expect(await readdir(scratchDir)).toEqual([])
  })

  test('or nothing, when the squashfs does not fit its disk', async () => {
    const { reference } = await resolve('test/large:1')
    await withSmallDisk({ mebibytes: 8 }, async (disk) => {
      await expect(convert(reference, join(disk, 'root.squashfs'))).rejects.toThrow(NoSpaceError)
      expect(await readdir(disk)).toEqual(['lost+found'])
    })
    expect(await readdir(scratchDir)).toEqual([])
  })

  test('or nothing, when it is stopped', async () => {
    const { reference } = await resolve('test/large:1')
    const attempt = convert(reference, join(scratchDir, 'root.squashfs'), scratchDir, AbortSignal.timeout(150))
    await expect(attempt).rejects.toThrow(/timeout/)
    expect(await readdir(scratchDir)).toEqual([])
  })

  test('or nothing, when the registry has another layer than the manifest says', async () => {
    const dir = join(scratchDir, 'tampered')
    await writeImageDirectory(dir, [{ archive: archive(file('a', randomBytes(1000))) }])
    const manifest = manifestSchema.parse(JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8')))
    await registry.push(dir, 'test/tampered:1')
    await rm(dir, { recursive: true })
    await registry.corrupt(manifest.layers[0]?.digest ?? '')
    const { reference } = await resolve('test/tampered:1')
    const attempt = convert(reference, join(scratchDir, 'root.squashfs'))
    await expect(attempt).rejects.toThrow(/test\/tampered@sha256:.* cannot be read .*[Dd]igest did not match/)
    expect(await readdir(scratchDir)).toEqual([])
  })

  test('or nothing, when it is not there', async () => {
    const reference = `${registry.host}/test/app@sha256:${'0'.repeat(64)}`
    await expect(convert(reference, join(scratchDir, 'root.squashfs'))).rejects.toThrow(
      expect.objectContaining({ kind: 'NotFound' }),
    )
    expect(await readdir(scratchDir)).toEqual([])
  })

  test('or nothing, when the disk takes no more files', async () => {
    const { reference } = await resolve('test/app:1')
    await withSmallDisk({ mebibytes: 16, inodes: 16 }, async (disk) => {
      const attempt = convert(reference, join(scratchDir, 'root.squashfs'), disk)
      await expect(attempt).rejects.toThrow(
        /no space left on .* its inodes or a quota are used up, although \d+ MiB are free/,
      )
      expect(await readdir(disk)).toEqual(['lost+found'])
    })
  })
})
