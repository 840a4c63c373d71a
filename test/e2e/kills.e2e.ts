import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imageReference, testCluster } from './support/cluster.ts'
import { createFixture, type Fixture } from './support/fixture.ts'
import { onNode } from './support/node.ts'
import { containerImage, instance, persistentOverlay, promptly } from './support/objects.ts'
import { registrySecret, registrySecretName } from './support/registry.ts'
import { until } from './support/until.ts'
import { imageLoops } from './support/volumes.ts'

const { cluster, kubectl } = await testCluster()

const pidsOf = async (pattern: string): Promise<string[]> => {
  const output = await onNode(cluster, 'sh', '-c', `pgrep --full '${pattern}' || true`)
  return output.split('\n').filter(Boolean)
}

const kill = (pids: readonly string[]): Promise<string> =>
  onNode(cluster, 'sh', '-c', `kill -KILL ${pids.join(' ')} 2>/dev/null || true`)

/** Kills what matches as soon as it is there, though it may be there for milliseconds only; says whether it was hit. */
const killWhenThere = async (pattern: string, known: readonly string[], afterMs: number): Promise<boolean> => {
  const said = await onNode(
    cluster,
    'sh',
    '-c',
    `end=$(($(date +%s) + 5)); known=' ${known.join(' ')} '
    while [ $(date +%s) -lt $end ]; do
      for pid in $(pgrep --full '${pattern}'); do
        case $known in *" $pid "*) continue ;; esac
        [ $pid = $$ ] && continue
        sleep ${afterMs / 1000}; kill -KILL $pid 2>/dev/null && echo hit && exit 0
      done
    done
    true`,
  )
  return said === 'hit'
}

const shim = '^[^ ]*/containerd-shim-runc-v2 '
// The brackets keep it from matching the shell that looks for it.
const runtime = '[/]opt/lamina/bin/node .*lamina-runtime.cjs'

/** Each dies at another moment of a start, each time. */
const delays = [0, 15, 40, 80, 200] as const

/** Each says whether there was something to kill. */
const victims: Record<string, (delayMs: number) => Promise<boolean>> = {
  'lamina-runtime': (delayMs) => killWhenThere(runtime, [], delayMs),
  shim: async (delayMs) => killWhenThere(shim, await pidsOf(shim), delayMs * 2),
  containerd: async (delayMs) => {
    await sleep(100 + delayMs * 3)
    await cluster.control('containerd', 'kill', 'SIGKILL')
    return true
  },
  agent: async (delayMs) => {
    await sleep(delayMs * 3)
    const pids = await pidsOf('node .*/app/agent.cjs')
    await kill(pids)
    return pids.length > 0
  },
  kubelet: async (delayMs) => {
    await sleep(100 + delayMs * 3)
    await cluster.control('kubelet', 'kill', 'SIGKILL')
    return true
  },
}

/** The kubelet lets a container that was killed again and again wait for minutes; a new pod has a clean slate. */
const renewAgent = async (): Promise<void> => {
  const agents = ['-n', 'lamina-system', 'delete', 'pod', '-l', 'app.kubernetes.io/component=agent']
  await kubectl.run([...agents, '--grace-period=0', '--force'])
}

describe('whatever is killed while an instance starts, it comes up, its data is whole and nothing stays locked', () => {
  let fixture: Fixture
  beforeAll(async () => {
    fixture = await createFixture(kubectl, 'kills')
    await fixture.apply(
      registrySecret(cluster),
      containerImage('debian', imageReference(cluster, 'library/debian:12'), { pullSecrets: [registrySecretName] }),
      persistentOverlay('work'),
      instance('first', { overlays: ['work'], podTemplate: promptly }),
    )
    await fixture.ready('instance', 'first', 120)
    await fixture.exec('first', 'sh', '-c', ': > /lives')
    await fixture.end('first')
  })
  afterAll(() => fixture.destroy())

  test.each(Object.keys(victims))('%s', { timeout: 300_000 }, async (name) => {
    const before = Number((await live('counted', async () => {})).split('\n').length)
    let hits = 0
    for (const delay of delays) {
      await live('victim', async () => {
        if (await victims[name]?.(delay)) hits++
      })
      if (name === 'agent') await renewAgent()
    }
    const after = Number((await live('counted', async () => {})).split('\n').length)
    // A line may have been written although the answer was lost.
    expect(after).toBeGreaterThanOrEqual(before + delays.length + 1)
    // The runtime is itself for some 50 ms only: the later tries find runc in its place.
    expect(hits).toBeGreaterThanOrEqual(2)
    await until('no loop device of it is left', async () => (await imageLoops({ kubectl, fixture })).length === 0)
  })

  /** One life: adds a line to the overlay's file, and gives the file. */
  const live = async (name: string, meanwhile: () => Promise<void>): Promise<string> => {
    await fixture.apply(instance(name, { overlays: ['work'], podTemplate: promptly }))
    await meanwhile()
    await fixture.ready('instance', name, 120)
    const lines = await until('it answers', async () => {
      const { exitCode, stdout } = await fixture.tryExec(name, 'sh', '-euc', 'echo x >> /lives; cat /lives')
      return exitCode === 0 && stdout.trimEnd()
    })
    await fixture.end(name)
    return lines
  }
})
