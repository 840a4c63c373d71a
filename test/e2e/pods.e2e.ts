import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { variantImages } from './support/images.ts'
import { containerImage, instance, persistentOverlay } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()
const pullSecrets = [registrySecretName]

describe('an instance is a pod like any other', () => {
  let fixture: Fixture
  let scratch: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'lamina-e2e-'))
    fixture = await createFixture(kubectl, 'pods')
    await variantImages(cluster)
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets }),
      containerImage('configured', imageReference(cluster, 'test/configured:1'), { pullSecrets }),
      containerImage('named-user', imageReference(cluster, 'test/named-user:1'), { pullSecrets }),
      persistentOverlay('work'),
      instance('dev', {
        overlays: ['work'],
        env: [{ name: 'GREETING', value: 'hello' }],
        workingDir: '/srv',
        podTemplate: {
          spec: {
            terminationGracePeriodSeconds: 1,
            initContainers: [
              {
                name: 'seed',
                image: imageReference(cluster, 'library/debian:12'),
                command: ['sh', '-c', 'echo seeded > /shared/seed'],
                volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
              },
            ],
            imagePullSecrets: [{ name: registrySecretName }],
            containers: [
              {
                name: 'main',
                resources: { requests: { cpu: '50m' }, limits: { memory: '128Mi' } },
                volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
                readinessProbe: { exec: { command: ['test', '-e', '/shared/seed'] }, periodSeconds: 1 },
              },
              {
                name: 'sidecar',
                image: imageReference(cluster, 'library/debian:12'),
                command: ['sh', '-c', 'echo from-sidecar; sleep infinity'],
                volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
              },
            ],
            volumes: [{ name: 'shared', emptyDir: {} }],
          },
        },
      }),
    )
    await fixture.ready('instance', 'dev', 120)
  })
  afterAll(async () => {
    await fixture.destroy()
    await rm(scratch, { recursive: true, force: true })
  })

  test('environment and working directory are what the spec says, for exec too', async () => {
    expect(await fixture.exec('dev', 'sh', '-c', 'echo $GREETING; pwd')).toBe('hello\n/srv')
  })

  test("the user's init container and sidecar run beside it, in their own images, and share its volumes", async () => {
    expect(await fixture.exec('dev', 'cat', '/shared/seed')).toBe('seeded')
    expect(await kubectl.run(['-n', fixture.namespace, 'logs', 'dev', '-c', 'sidecar'])).toContain('from-sidecar')
    const root = await kubectl.run(['-n', fixture.namespace, 'exec', 'dev', '-c', 'sidecar', '--', 'ls', '/'])
    expect(root).not.toContain('.lamina')
  })

  test('neither the raw volume nor a trace of it is seen inside', async () => {
    expect(await fixture.exec('dev', 'cat', '/proc/mounts')).not.toContain('/.lamina/overlays')
  })

  test('`kubectl cp` goes both ways', async () => {
    await writeFile(join(scratch, 'up'), 'over the wire')
    await kubectl.run(['-n', fixture.namespace, 'cp', join(scratch, 'up'), 'dev:/srv/up', '-c', 'main'])
    await kubectl.run(['-n', fixture.namespace, 'cp', 'dev:/srv/up', join(scratch, 'down'), '-c', 'main'])
    expect(await readFile(join(scratch, 'down'), 'utf8')).toBe('over the wire')
  })

  test('the memory limit is the container’s', async () => {
    const limit = 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes || cat memory.max'
    expect(await fixture.exec('dev', 'sh', '-c', limit)).toBe(String(128 * 2 ** 20))
  })

  test('`kubectl debug` adds a container that passes through untouched', async () => {
    const image = imageReference(cluster, 'library/debian:12')
    await kubectl.run([
      ...[
        '-n',
        fixture.namespace,
        'debug',
        'dev',
        '--profile=baseline',
        '--image',
        image,
        '--target',
        'main',
        '-c',
        'look',
      ],
      ...['--', 'sh', '-c', 'cat /etc/debian_version'],
    ])
    await until('the debug container spoke', async () => {
      const { stdout } = await kubectl.try(['-n', fixture.namespace, 'logs', 'dev', '-c', 'look'])
      return /^12/.test(stdout)
    })
  })

  test('`kubectl port-forward` reaches a server inside', async () => {
    await fixture.exec(
      'dev',
      'sh',
      '-c',
      `cat > /srv/serve.pl <<'END'
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalPort => 8099, Listen => 5, ReuseAddr => 1) or die;
while (my $c = $s->accept) { print $c "HTTP/1.0 200 OK\\r\\n\\r\\nserved"; close $c }
END
(setsid perl /srv/serve.pl >/dev/null 2>&1 &)`,
    )
    const [program, ...args] = cluster.kube('kubectl', '-n', fixture.namespace, 'port-forward', 'dev', ':8099')
    const forward = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      // "Forwarding from 127.0.0.1:PORT -> 8099": a port that was free.
      const said = once(createInterface({ input: forward.stdout }), 'line', { signal: AbortSignal.timeout(30_000) })
      const [, port] = /^Forwarding from 127\.0\.0\.1:(\d+) /.exec(String((await said)[0])) ?? []
      const body = await until('the server answers', async () => (await fetch(`http://127.0.0.1:${port}/`)).text())
      expect(body).toBe('served')
    } finally {
      forward.kill()
    }
  })

  test("the image's entrypoint, command, environment and working directory hold when nothing else is said", async () => {
    await fixture.apply(
      instance('configured', { image: 'configured', restartPolicy: 'Never', podTemplate: { spec: {} } }),
    )
    await until(
      'it ended',
      async () => conditionOf(await fixture.get('instance', 'configured'), 'Ready').status === 'True',
    )
    const log = await kubectl.run(['-n', fixture.namespace, 'logs', 'configured'])
    expect(log).toBe('entry cmd from-image $(literal) /opt/place\n')
  })

  test("a user that the image names is resolved in the image's own passwd and group, for exec too", async () => {
    await fixture.apply(
      instance('named', { image: 'named-user', podTemplate: { spec: { terminationGracePeriodSeconds: 1 } } }),
    )
    await fixture.ready('instance', 'named')
    expect(await fixture.exec('named', 'id')).toBe('uid=4711(worker) gid=4711(worker) groups=4711(worker),4800(crew)')
  })
})

describe('under pod security `restricted`', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'restricted', { podSecurity: 'restricted' })
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets }),
      persistentOverlay('work'),
    )
  })
  afterAll(() => fixture.destroy())

  const restricted = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    seccompProfile: { type: 'RuntimeDefault' },
  }
  const withSecurity = (name: string, securityContext: object, overlays: string[] = []) =>
    instance(name, {
      overlays,
      podTemplate: { spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', securityContext }] } },
    })

  test('an instance with a user of its own runs, its overlay made by unprivileged hands', async () => {
    await fixture.apply(withSecurity('dev', { ...restricted, runAsUser: 1000 }, ['work']))
    await fixture.ready('instance', 'dev', 120)
    expect(await fixture.exec('dev', 'id', '-u')).toBe('1000')
    expect(await fixture.exec('dev', 'sh', '-c', 'touch /tmp/mine && ls /tmp/mine')).toBe('/tmp/mine')
  })

  test('`readOnlyRootFilesystem` stays as asked', async () => {
    await fixture.apply(withSecurity('fixed', { ...restricted, runAsUser: 1000, readOnlyRootFilesystem: true }))
    await fixture.ready('instance', 'fixed')
    const { exitCode, stderr } = await fixture.tryExec('fixed', 'touch', '/tmp/x')
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain('Read-only file system')
  })

  test('`runAsNonRoot` with an image of root is refused, and the condition says what to do', async () => {
    await fixture.apply(withSecurity('root', restricted))
    const message = await until('the refusal is told', async () => {
      const object = await fixture.get('instance', 'root')
      const text = JSON.stringify(object.status)
      return text.includes('runAsNonRoot') && text
    })
    expect(message).toContain('runAsUser')
  })
})
