import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { mergeDockerConfigs } from './docker-config.ts'
import { copyToDirectory, type RegistryAccess, resolveImage } from './skopeo.ts'
import { archive, file } from './testing/archive.ts'
import { createKeyRing, type KeyRing } from './testing/gpg.ts'
import { sha256, writeImageDirectory } from './testing/image.ts'
import { startRegistry, type TestRegistry } from './testing/registry.ts'

const run = promisify(execFile)
const signal = AbortSignal.timeout(60_000)
const amd64 = { os: 'linux', architecture: 'amd64' }

let registry: TestRegistry
let dir: string
let access: RegistryAccess
let rings: Record<'ours' | 'strange', KeyRing>

const name = (image: string) => `${registry.host}/test/${image}:1`

const push = async (image: string, ring?: KeyRing): Promise<void> => {
  const source = join(dir, image)
  await writeImageDirectory(source, [{ archive: archive(file('f', image)) }])
  const signing = ring ? ['--sign-by', ring.signer] : []
  const to = ['--preserve-digests', '--dest-tls-verify=false', '--dest-creds=reader:secret', ...signing]
  const environment = { ...process.env, ...ring?.environment }
  await run('skopeo', ['copy', '--quiet', ...to, `dir:${source}`, `docker://${name(image)}`], { env: environment })
}

/** For the registry; everything else may come. */
const writePolicy = async (requirement: object): Promise<void> => {
  const policy = {
    default: [{ type: 'insecureAcceptAnything' }],
    transports: { docker: { [registry.host]: [requirement] } },
  }
  await writeFile(join(registry.home, '.config/containers/policy.json'), JSON.stringify(policy))
}

beforeAll(async () => {
  registry = await startRegistry()
  vi.stubEnv('HOME', registry.home)
  dir = await mkdtemp(join(tmpdir(), 'lamina-policy-'))
  rings = { ours: await createKeyRing(join(dir, 'a')), strange: await createKeyRing(join(dir, 'b')) }
  const registriesD = join(registry.home, '.config/containers/registries.d')
  const signatures = `file://${dir}/signatures`
  const where = { docker: { [registry.host]: { lookaside: signatures, 'lookaside-staging': signatures } } }
  await mkdir(registriesD)
  await writeFile(join(registriesD, 'test.yaml'), JSON.stringify(where))
  await push('unsigned')
  await push('signed', rings.ours)
  await push('strange', rings.strange)
})
afterAll(async () => {
  await registry.stop()
  for (const ring of Object.values(rings)) await ring.close()
  await rm(dir, { recursive: true })
})
beforeEach(async () => {
  const authFile = join(dir, 'auth.json')
  await writeFile(authFile, mergeDockerConfigs([registry.dockerConfig]))
  const scratchDir = join(dir, 'scratch')
  await rm(scratchDir, { recursive: true, force: true })
  await mkdir(scratchDir)
  access = { authFile, scratchDir }
})

const resolve = (image: string) => resolveImage(name(image), amd64, access, signal)
/** As a node fetches what somebody has resolved. */
const fetch = async (image: string): Promise<void> => {
  const digest = sha256(await readFile(join(dir, image, 'manifest.json')))
  const reference = `${registry.host}/test/${image}@sha256:${digest}`
  await copyToDirectory(reference, access, join(access.scratchDir, 'image'), { signal, onProgress: () => {} })
}

describe('where the policy asks for signatures', () => {
  beforeAll(async () => {
    const keyPath = join(dir, 'team.asc')
    await writeFile(keyPath, rings.ours.publicKey)
    await writePolicy({ type: 'signedBy', keyType: 'GPGKeys', keyPath })
  })

  test('an image with one is resolved and fetched; nothing of the look is left', async () => {
    expect(await resolve('signed')).toMatchObject({ platform: amd64 })
    expect(await readdir(access.scratchDir)).toEqual([])
    await fetch('signed')
    expect(await readdir(join(access.scratchDir, 'image'))).not.toContain('signature-1')
  })

  test.each([
    ['without one', 'unsigned', /A signature was required, but no signature exists/],
    ['of another key', 'strange', /Invalid GPG signature/],
  ])('an image %s is refused by the controller and by nodes', async (_, image, words) => {
    for (const act of [resolve, fetch]) {
      await expect(act(image)).rejects.toMatchObject({ kind: 'Refused', message: expect.stringMatching(words) })
    }
    await expect(resolve(image)).rejects.toThrow(/is refused by the signature policy .*\(policyJson of the chart\)/)
  })
})

test('what the policy rejects outright is refused', async () => {
  await writePolicy({ type: 'reject' })
  await expect(resolve('signed')).rejects.toMatchObject({ kind: 'Refused' })
})

test('a policy that cannot be read lets nothing in', async () => {
  await writeFile(join(registry.home, '.config/containers/policy.json'), '{')
  await expect(resolve('signed')).rejects.toThrow(/policy.json/)
})
