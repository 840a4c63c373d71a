import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { createKeyRing, type KeyRing } from '../../runtime-shim/image/testing/gpg.ts'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { type FileServer, serveFiles } from './support/files.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { pushVariant } from './support/images.ts'
import type { KubeObject } from './support/kubectl.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { operatorNamespace } from './support/operator.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()
const chart = join(import.meta.dirname, '../../charts/lamina')

const helm = async (args: string[], input?: string): Promise<void> => {
  const [program, ...rest] = cluster.kube('helm', '-n', operatorNamespace, ...args, '--wait')
  await execa(program, rest, input === undefined ? {} : { input })
}

const digestField = z.object({ digest: z.string() }).optional()
const statusSchema = z.object({
  resolved: digestField,
  base: digestField,
  previousBase: digestField,
  image: digestField,
  handledRefreshRequest: z.string().optional(),
})
const statusOf = ({ status }: KubeObject) => statusSchema.parse(status ?? {})

let fixture: Fixture
beforeAll(async () => {
  fixture = await createFixture(kubectl, 'images')
  await fixture.apply(registrySecret(cluster))
})
afterAll(() => fixture.destroy())

const pullSecrets = [registrySecretName]
const repository = (name: string) => `test/${name}-${fixture.namespace}`
const push = (name: string, variable: string) => pushVariant(cluster, `${repository(name)}:1`, variable)
const named = (name: string, refresh?: object) => {
  const image = containerImage(name, imageReference(cluster, `${repository(name)}:1`), { pullSecrets })
  return { ...image, spec: { ...image.spec, ...(refresh ? { refresh } : {}) } }
}
const digestOf = async (image: string) => statusOf(await fixture.get('containerimage', image)).resolved?.digest
const requestRefresh = async (image: string, token: string): Promise<void> => {
  const annotate = ['annotate', 'cimg', image, `lamina.dev/refresh-requested=${token}`, '--overwrite']
  await kubectl.run(['-n', fixture.namespace, ...annotate])
  await until(`${image} says that ${token} is met`, async () => {
    return statusOf(await fixture.get('containerimage', image)).handledRefreshRequest === token
  })
}
/** The pod goes, and another comes. */
const restart = async (name: string): Promise<void> => {
  const uid = (await fixture.get('pod', name)).metadata.uid
  await fixture.delete('pod', name)
  await until(`${name} has another pod`, async () => {
    const { exitCode, stdout } = await kubectl.try([
      ...['-n', fixture.namespace, 'get', 'pod', name, '-o', 'jsonpath={.metadata.uid}'],
    ])
    return exitCode === 0 && stdout !== uid
  })
  await fixture.ready('instance', name)
}
const upToDate = (name: string, reason: string) =>
  until(
    `${name} says ${reason}`,
    async () => {
      const condition = conditionOf(await fixture.get('instance', name), 'UpToDate')
      return condition.reason === reason && condition.message
    },
    { describe: async () => JSON.stringify(conditionOf(await fixture.get('instance', name), 'UpToDate')) },
  )
const variableIn = (name: string) => fixture.exec(name, 'sh', '-c', 'echo "$WHICH"')

describe('a tag that moves on', () => {
  const dev = (base: 'Keep' | 'Follow') =>
    instance('dev', {
      image: 'moving',
      podTemplate: promptly,
      overlays: [{ name: 'work', access: 'ReadWrite', base }],
    })

  test('is looked up when somebody asks; what runs keeps its digest, and says what is due', async () => {
    await push('moving', 'WHICH=one')
    await fixture.apply(
      named('moving'),
      persistentOverlay('work'),
      dev('Keep'),
      instance('plain', { image: 'moving', podTemplate: promptly }),
    )
    await fixture.ready('instance', 'dev')
    await fixture.ready('instance', 'plain')
    await fixture.exec('dev', 'sh', '-c', 'echo mine > /file')
    const before = await digestOf('moving')
    await push('moving', 'WHICH=two')
    await requestRefresh('moving', 'first')
    expect(await digestOf('moving')).not.toBe(before)
    expect(await upToDate('plain', 'RestartRequired')).toContain('delete the pod')
    expect(await upToDate('dev', 'BaseChanged')).toContain('until it is told to follow it')
    expect(await variableIn('plain')).toBe('one')
    expect(statusOf(await fixture.get('instance', 'plain')).image?.digest).toBe(before)
  })

  test('comes at the next start, but not under an overlay', async () => {
    await restart('plain')
    await restart('dev')
    expect(await variableIn('plain')).toBe('two')
    expect(await variableIn('dev')).toBe('one')
    await fixture.end('plain')
  })

  test('comes under an overlay that is told to follow, at the next start, with its files', async () => {
    const { base: before } = statusOf(await fixture.get('persistentoverlay', 'work'))
    await fixture.apply(dev('Follow'))
    expect(await upToDate('dev', 'RestartRequired')).toContain('package databases among it')
    expect(statusOf(await fixture.get('persistentoverlay', 'work')).base).toEqual(before)
    await restart('dev')
    expect(await variableIn('dev')).toBe('two')
    expect(await fixture.exec('dev', 'cat', '/file')).toBe('mine')
    const { base, previousBase } = statusOf(await fixture.get('persistentoverlay', 'work'))
    expect({ base: base?.digest, previousBase }).toEqual({ base: await digestOf('moving'), previousBase: before })
    const events = await fixture.events('PersistentOverlay', 'work')
    expect(events.map(({ reason }) => reason)).toContain('BaseFollowed')
    await until('the claim remembers it', async () => {
      const { annotations } = (await fixture.get('pvc', 'lamina-work')).metadata
      return JSON.stringify(annotations).includes(base?.digest ?? 'none')
    })
    expect(await upToDate('dev', 'AsSpecified')).toBeDefined()
  })

  test('and whose ContainerImage is gone: the instance starts on what its overlay remembers', async () => {
    await fixture.delete('containerimage', 'moving')
    expect(await upToDate('dev', 'ImageNotFound')).toContain('the overlay keeps the instance on')
    await restart('dev')
    expect(await variableIn('dev')).toBe('two')
    expect(await fixture.exec('dev', 'cat', '/file')).toBe('mine')
    const { spec } = await fixture.get('pod', 'dev')
    expect(spec).toMatchObject({
      volumes: expect.arrayContaining([
        { name: 'lamina-pull-0', secret: expect.objectContaining({ secretName: registrySecretName, optional: true }) },
      ]),
    })
    await fixture.end('dev')
  })

  test('is looked up by itself once in its period', async () => {
    await push('periodic', 'WHICH=one')
    await fixture.apply(named('periodic', { policy: 'Interval', periodSeconds: 60 }))
    const image = await fixture.ready('containerimage', 'periodic')
    const before = statusOf(image).resolved?.digest
    await push('periodic', 'WHICH=two')
    await until('the tag was looked up', async () => (await digestOf('periodic')) !== before, { seconds: 75 })
    expect(conditionOf(await fixture.get('containerimage', 'periodic'), 'Refreshed').reason).toBe('LookedUp')
  })

  test('and whose secret is gone keeps its digest, and says why', async () => {
    await push('secretive', 'WHICH=one')
    const secret = registrySecret(cluster, 'passing')
    const image = containerImage('secretive', imageReference(cluster, `${repository('secretive')}:1`), {
      pullSecrets: ['passing'],
    })
    await fixture.apply(secret, image)
    await fixture.ready('containerimage', 'secretive')
    await fixture.delete('secret', 'passing')
    await requestRefresh('secretive', 'again')
    const after = await fixture.get('containerimage', 'secretive')
    expect(conditionOf(after, 'Ready').status).toBe('True')
    expect(conditionOf(after, 'Refreshed')).toMatchObject({ status: 'False', reason: 'PullSecretInvalid' })
    expect(await digestOf('secretive')).toBeDefined()
  })
})

describe('a signature policy', () => {
  const prefix = `test/sealed-${randomBytes(3).toString('hex')}`
  let dir: string
  let keyRing: KeyRing
  let server: FileServer
  const filesBelow = async (root: string): Promise<Record<string, string>> => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    return Object.fromEntries(files.map((path) => [relative(root, path), path]))
  }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lamina-sealed-'))
    keyRing = await createKeyRing(join(dir, 'ring'))
    const [signatures, registriesD] = [join(dir, 'signatures'), join(dir, 'registries.d')]
    await mkdir(registriesD)
    const { host } = cluster.registry
    const staging = { docker: { [host]: { 'lookaside-staging': `file://${signatures}` } } }
    await writeFile(join(registriesD, 'staging.yaml'), JSON.stringify(staging))
    await pushVariant(cluster, `${prefix}/signed:1`, 'WHICH=signed', { keyRing, registriesD })
    await pushVariant(cluster, `${prefix}/unsigned:1`, 'WHICH=unsigned')
    server = await serveFiles(cluster, await filesBelow(signatures))
    const policy = {
      default: [{ type: 'insecureAcceptAnything' }],
      transports: {
        docker: {
          [`${host}/${prefix}`]: [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: '/etc/containers/keys/team.asc' }],
        },
      },
    }
    const values = {
      policyJson: JSON.stringify(policy),
      registriesD: JSON.stringify({ docker: { [host]: { lookaside: server.url('').replace(/\/$/, '') } } }),
      signatureKeys: { 'team.asc': keyRing.publicKey },
    }
    await helm(['upgrade', 'lamina', chart, '--reuse-values', '--values', '-'], JSON.stringify(values))
  })
  afterAll(async () => {
    await helm(['rollback', 'lamina'])
    await server.close()
    await keyRing.close()
    await rm(dir, { recursive: true })
  })

  const sealed = (name: string) => containerImage(name, imageReference(cluster, `${prefix}/${name}:1`), { pullSecrets })

  test('lets a signed image run', async () => {
    await fixture.apply(sealed('signed'), instance('signed', { image: 'signed', podTemplate: promptly }))
    await fixture.ready('instance', 'signed')
    expect(await variableIn('signed')).toBe('signed')
    expect(server.requests.filter((request) => request.endsWith('/signature-1')).length).toBeGreaterThan(1)
    await fixture.end('signed')
  })

  test('refuses another where it is looked up: Stalled, and no pod', async () => {
    await fixture.apply(sealed('unsigned'), instance('unsigned', { image: 'unsigned', podTemplate: promptly }))
    await until('it is refused', async () => {
      const image = await fixture.get('containerimage', 'unsigned')
      return conditionOf(image, 'Stalled').reason === 'ImageRefusedByPolicy' && image
    })
    const ready = conditionOf(await fixture.get('instance', 'unsigned'), 'Ready')
    expect(ready).toMatchObject({ status: 'False', reason: 'ImageRefusedByPolicy' })
    expect(ready.message).toContain('A signature was required, but no signature exists')
    const pods = await kubectl.run(['-n', fixture.namespace, 'get', 'pod', '-o', 'name'])
    expect(pods).not.toContain('unsigned')
  })

  test('refuses it on the node too, which asks no matter who has resolved it', async () => {
    const unsigned = `${cluster.registry.host}/${prefix}/unsigned:1`
    const { user, password } = cluster.registry
    const [agent] = await kubectl.list(operatorNamespace, 'pods', 'app.kubernetes.io/component=agent')
    const copy = ['skopeo', 'copy', '--src-creds', `${user}:${password}`, `docker://${unsigned}`, 'dir:/tmp/refused']
    const name = agent?.metadata.name ?? ''
    const { exitCode, stderr } = await kubectl.try(['-n', operatorNamespace, 'exec', name, '--', ...copy])
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('Source image rejected: A signature was required, but no signature exists')
  })
})
