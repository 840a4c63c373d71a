import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { pushStandIn, type StandIn } from './support/images.ts'
import { containerImage } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'
import { userVolume } from './support/volumes.ts'

const { cluster, kubectl } = await testCluster()

const examples = join(import.meta.dirname, '../../examples/stand-alone')

const script = (...lines: string[]): string => `#!/bin/sh\n${lines.join('\n')}\n`

/** Perl is what Debian's essential packages have to answer HTTP with. */
const server = (port: number): string =>
  [
    '#!/usr/bin/perl',
    'use IO::Socket::INET;',
    '$SIG{TERM} = sub { exit 0 };',
    `my $server = IO::Socket::INET->new(LocalPort => ${port}, Listen => 8, ReuseAddr => 1) or die;`,
    'while (my $client = $server->accept) { <$client>; print $client "HTTP/1.0 200 OK\\r\\n\\r\\n{}"; close $client; }',
    '',
  ].join('\n')

/** In the place of the images that the examples name, which are elsewhere. */
const standIns: Record<string, StandIn> = {
  jupyterlab: {
    user: '1000',
    entrypoint: ['/usr/local/bin/serve'],
    files: { 'usr/local/bin/serve': server(8888) },
  },
  'code-server': { entrypoint: ['/usr/local/bin/serve'], files: { 'usr/local/bin/serve': server(8080) } },
  node: {
    files: {
      'usr/local/bin/git': script('for last; do :; done; mkdir -p "$last"'),
      'usr/local/bin/npm': script(
        'case $1 in ci) cat /var/cache/npm/packages || true; mkdir -p /var/cache/npm; echo cached > /var/cache/npm/packages;; esac',
      ),
    },
  },
  debian: {
    files: {
      'usr/local/bin/apt-get': script(
        // Fails once: the readers are not to start with half of it.
        '[ "$1" != install ] || [ -e /var/tmp/tried ] || { touch /var/tmp/tried; exit 100; }',
        'if [ "$1" = install ]; then printf "#!/bin/sh\\necho debugs\\n" > /usr/bin/gdb; chmod 755 /usr/bin/gdb; fi',
      ),
    },
  },
  pytorch: {
    files: {
      'usr/local/bin/pip': script('true'),
      // Fails once, and goes on where it was.
      'usr/local/bin/python': script(
        'echo epoch >> /workspace/checkpoints/log; cat /workspace/checkpoints/log; [ $(wc -l < /workspace/checkpoints/log) = 2 ]',
      ),
    },
  },
}

const objectSchema = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({ resources: z.unknown().optional() }),
})

/** The example as it stands, but for its images, for sizes, and for what no node here has. */
const objectsOf = async (file: string) =>
  parseAllDocuments(await readFile(join(examples, file), 'utf8')).map((document) => {
    const object = objectSchema.parse(document.toJS())
    const { name } = object.metadata
    if (object.kind === 'ContainerImage')
      return containerImage(name, imageReference(cluster, `stand-in/${name}:1`), { pullSecrets: [registrySecretName] })
    if (object.kind === 'PersistentOverlay') return { ...object, spec: { ...object.spec, size: '32Mi' } }
    const { resources: _, ...spec } = object.spec
    return { ...object, spec }
  })

/** A namespace for the tests of one `describe`. */
const namespaceOf = (podSecurity: 'baseline' | 'restricted') => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'examples', { podSecurity })
    await fixture.apply(registrySecret(cluster))
  })
  afterAll(() => fixture.destroy())

  return {
    fixture: () => fixture,
    use: async (file: string): Promise<void> => {
      const objects = await objectsOf(file)
      for (const { kind, metadata } of objects) {
        const standIn = standIns[metadata.name]
        if (kind === 'ContainerImage' && standIn) await pushStandIn(cluster, `stand-in/${metadata.name}:1`, standIn)
      }
      await fixture.apply(...objects)
    },
    logsOf: (name: string) => kubectl.run(['-n', fixture.namespace, 'logs', name]),
    /** A server is ready by its probe, and what its user adds is there in its next pod. */
    expectToPersist: async (name: string, directory: string): Promise<void> => {
      await fixture.ready('instance', name, 120)
      await fixture.exec(name, 'sh', '-c', `echo mine > ${directory}/added`)
      await fixture.delete('pod', name)
      await until(
        'the next pod has it',
        async () => (await fixture.tryExec(name, 'cat', `${directory}/added`)).stdout === 'mine\n',
      )
      await fixture.ready('instance', name)
      expect((await fixture.get('service', name)).spec).toMatchObject({ type: 'ClusterIP' })
    },
  }
}

describe('in a namespace of pod security restricted', () => {
  const { fixture, use, expectToPersist } = namespaceOf('restricted')

  test('jupyterlab.yaml runs, and keeps what its user adds', async () => {
    await use('jupyterlab.yaml')
    await expectToPersist('jupyterlab', '/tmp')
    expect(await fixture().exec('jupyterlab', 'id', '-u')).toBe('1000')
  })
})

describe('in a namespace of pod security baseline', () => {
  const { fixture, use, logsOf, expectToPersist } = namespaceOf('baseline')

  test('code-server.yaml runs, and keeps what its user adds', async () => {
    await use('code-server.yaml')
    await expectToPersist('code-server', '/usr/local/bin')
  })

  test('ci-cache.yaml: the build reads what the nightly one has written, after it', async () => {
    await use('ci-cache.yaml')
    await fixture().ready('instance', 'nightly', 120)
    await fixture().ready('instance', 'build-4711', 60)
    expect(await logsOf('nightly')).not.toMatch(/^cached$/m)
    expect(await logsOf('build-4711')).toMatch(/^cached$/m)
  })

  test('shared-tools.yaml: who installs the tools ends, then both readers have them, each for himself', async () => {
    await use('shared-tools.yaml')
    await fixture().ready('instance', 'install', 120)
    for (const reader of ['ada', 'guest']) {
      await fixture().ready('instance', reader, 60)
      expect(await fixture().exec(reader, 'gdb')).toBe('debugs')
    }
    await fixture().exec('ada', 'touch', '/usr/bin/hers')
    expect((await fixture().tryExec('guest', 'ls', '/usr/bin/hers')).exitCode).not.toBe(0)
  })

  test('training.yaml goes on from its checkpoints when it has failed', async () => {
    await userVolume({ kubectl, fixture: fixture() }, 'team-data')
    await use('training.yaml')
    await until(
      'it has completed',
      async () => conditionOf(await fixture().get('instance', 'training'), 'Ready').reason === 'Completed',
    )
    expect(await logsOf('training')).toBe('epoch\nepoch\n')
  })
})
