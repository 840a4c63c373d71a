import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { conditionOf } from './support/conditions.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { killInit } from './support/node.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'

const { cluster, kubectl } = await testCluster()

describe('the story: what is installed lasts, what is not in an overlay goes', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'story')
    await fixture.apply(
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      registrySecret(cluster),
      persistentOverlay('dev'),
    )
  })
  afterAll(() => fixture.destroy())

  const dev = () => instance('dev', { overlays: ['dev'], podTemplate: promptly })

  test('an instance starts from an image and an overlay that is made on the way', async () => {
    await fixture.apply(dev())
    const ready = await fixture.ready('instance', 'dev', 120)
    expect(conditionOf(ready, 'Running').status).toBe('True')
    expect(await fixture.exec('dev', 'cat', '/etc/debian_version')).toMatch(/^12/)
  })

  test("it shows nothing of the placeholder's image: neither its files, nor its directory, nor its environment", async () => {
    expect(await fixture.exec('dev', 'pwd')).toBe('/')
    expect((await fixture.tryExec('dev', 'ls', '/app')).exitCode).not.toBe(0)
    expect(await fixture.exec('dev', 'env')).not.toMatch(/NODE_|MALLOC_/)
  })

  test('what it writes is there after the pod is gone and made again', async () => {
    await fixture.exec('dev', 'sh', '-c', 'echo kept > /foo; rm /etc/issue; mkdir -p /opt/tool; chown 70000 /opt/tool')
    await fixture.delete('instance', 'dev')
    await fixture.apply(dev())
    await fixture.ready('instance', 'dev')
    expect(await fixture.exec('dev', 'cat', '/foo')).toBe('kept')
    expect(await fixture.exec('dev', 'stat', '-c', '%u', '/opt/tool')).toBe('70000')
    expect((await fixture.tryExec('dev', 'ls', '/etc/issue')).exitCode).not.toBe(0)
  })

  test('an instance without an overlay sees none of it, and what it writes is gone after it', async () => {
    const plain = instance('plain', { podTemplate: promptly })
    await fixture.apply(plain)
    await fixture.ready('instance', 'plain')
    expect((await fixture.tryExec('plain', 'ls', '/foo')).exitCode).not.toBe(0)
    await fixture.exec('plain', 'touch', '/bar')
    await fixture.delete('instance', 'plain')
    await fixture.apply(plain)
    await fixture.ready('instance', 'plain')
    expect((await fixture.tryExec('plain', 'ls', '/bar')).exitCode).not.toBe(0)
    await fixture.delete('instance', 'plain')
  })

  test('a command that ends is told by its exit code', async () => {
    await fixture.apply(
      instance('once', { restartPolicy: 'Never', command: ['sh', '-c', 'exit 0'], podTemplate: promptly }),
      instance('fails', { restartPolicy: 'Never', command: ['sh', '-c', 'echo no; exit 7'], podTemplate: promptly }),
    )
    await fixture.ready('instance', 'once')
    const failed = await until('the failure is told', async () => {
      const object = await fixture.get('instance', 'fails')
      return conditionOf(object, 'Stalled').status === 'True' && object
    })
    expect(failed.status).toMatchObject({ lastTermination: { exitCode: 7 } })
    expect(await kubectl.run(['-n', fixture.namespace, 'logs', 'fails'])).toContain('no')
  })

  test('`Stopped` ends the pod and keeps the overlay; `Running` brings it back', async () => {
    await fixture.apply({ ...dev(), spec: { ...dev().spec, state: 'Stopped' } })
    await until(
      'the pod is gone',
      async () => (await kubectl.list(fixture.namespace, 'pods', 'lamina.dev/instance=dev')).length === 0,
    )
    const stopped = await fixture.ready('instance', 'dev')
    expect(conditionOf(stopped, 'Running').status).toBe('False')
    await fixture.apply(dev())
    await fixture.ready('instance', 'dev')
    expect(await fixture.exec('dev', 'cat', '/foo')).toBe('kept')
  })

  test('a crash restarts the container in place, on its overlay', async () => {
    const before = await kubectl.get(fixture.namespace, 'pod', 'dev')
    await fixture.exec('dev', 'sh', '-c', 'echo more > /more')
    await killInit(cluster, before.metadata.uid ?? '')
    await until('the container restarted', async () => {
      const pod = await kubectl.get(fixture.namespace, 'pod', 'dev')
      const text = JSON.stringify(pod.status)
      return pod.metadata.uid === before.metadata.uid && text.includes('"restartCount":1')
    })
    await until('it answers', async () => (await fixture.tryExec('dev', 'true')).exitCode === 0)
    expect(await fixture.exec('dev', 'cat', '/more')).toBe('more')
  })

  test.each(['controller', 'agent', 'containerd'])(
    'a restart of the %s leaves the instance running and its overlay whole',
    async (part) => {
      const uid = (await kubectl.get(fixture.namespace, 'pod', 'dev')).metadata.uid
      if (part === 'containerd') await cluster.control('containerd', 'kill', 'SIGKILL')
      else
        await kubectl.run([
          '-n',
          'lamina-system',
          'delete',
          'pod',
          '-l',
          `app.kubernetes.io/component=${part}`,
          '--wait=false',
        ])
      await until('exec works again', async () => (await fixture.tryExec('dev', 'true')).exitCode === 0)
      expect((await kubectl.get(fixture.namespace, 'pod', 'dev')).metadata.uid).toBe(uid)
      await fixture.exec('dev', 'sh', '-c', `echo ${part} >> /restarts`)
      await fixture.delete('instance', 'dev')
      await fixture.apply(dev())
      await fixture.ready('instance', 'dev', 120)
      expect(await fixture.exec('dev', 'tail', '-1', '/restarts')).toBe(part)
    },
  )
})
