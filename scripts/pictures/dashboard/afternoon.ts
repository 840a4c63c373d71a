import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { debianImage, pushImage } from '../../../test/cluster/images.ts'
import { isReady } from '../../../test/e2e/support/conditions.ts'
import { loopsOf, onNode } from '../../../test/e2e/support/node.ts'
import {
  containerImage,
  inNamespace,
  instance,
  type OverlayUse,
  persistentOverlay,
  promptly,
} from '../../../test/e2e/support/objects.ts'
import { registrySecretName } from '../../../test/e2e/support/registry.ts'
import { until } from '../../../test/e2e/support/until.ts'
import { overlayVolume } from '../../../test/e2e/support/volumes.ts'
import { type Stage, withNamespace } from '../stage.ts'

/**
 * What two teams might do in an afternoon, in a few minutes: overlays fill,
 * instances come and go, images are new to the node, the registry and the API
 * server are away for a while, and in one file system the kernel notes errors.
 */

const teams = ['team-a', 'team-b'] as const
type Team = (typeof teams)[number]

interface Desk {
  apply(...objects: { metadata: object }[]): Promise<void>
  ready(name: string): Promise<void>
  /** Writes so much more into the instance. */
  write(name: string, mebibytes: number): Promise<void>
  end(name: string): Promise<void>
}

const deskOf = ({ kubectl }: Stage, team: Team): Desk => ({
  apply: async (...objects) => {
    await kubectl.apply(...objects.map((object) => inNamespace(team, object)))
  },
  ready: async (name) => {
    await until(`instance ${name} is Ready`, async () => isReady(await kubectl.get(team, 'instance', name)), {
      seconds: 120,
    })
  },
  write: async (name, mebibytes) => {
    const script = `head -c ${mebibytes}M /dev/urandom >> /data && sync`
    await kubectl.run(['-n', team, 'exec', name, '--', 'sh', '-c', script])
  },
  end: async (name) => {
    await kubectl.run(['-n', team, 'delete', 'instance', name, '--timeout=60s'], { timeoutSeconds: 70 })
  },
})

const uses = (...overlays: OverlayUse[]) => ({ overlays, podTemplate: promptly })

type ImageMaker = (name: string) => Promise<ReturnType<typeof containerImage>>

/** Makes images that no node has: Debian, each with a configuration and so a digest of its own. */
const withImageMaker = async ({ cluster }: Stage, work: (newImage: ImageMaker) => Promise<void>): Promise<void> => {
  const dir = await mkdtemp(join(tmpdir(), 'lamina-images-'))
  const layout = join(dir, 'oci')
  try {
    await cp(await debianImage(() => {}), layout, { recursive: true })
    await work(async (name) => {
      const own = ['--tag', name, '--config.env', `JOB=${name}`]
      await execa('umoci', ['config', '--image', `${layout}:it`, ...own])
      await pushImage(cluster, `${layout}:${name}`, `team/${name}:1`)
      return containerImage(name, `${cluster.registry.host}/team/${name}:1`, { pullSecrets: [registrySecretName] })
    })
  } finally {
    await rm(dir, { recursive: true })
  }
}

/** Something that ends, with an image of its own. */
const job = async (newImage: ImageMaker, desk: Desk, name: string): Promise<void> => {
  await desk.apply(await newImage(name), instance(name, { image: name, ...uses() }))
  await desk.ready(name)
  await desk.write(name, 20)
}

const noteErrors = async ({ cluster, kubectl }: Stage, namespace: Team, overlay: string): Promise<void> => {
  const volume = await overlayVolume({ kubectl, fixture: { namespace } }, overlay)
  const loops = await loopsOf(`${volume.path.split('/').at(-1)}/overlay.img`)
  for (const { device } of loops)
    await onNode(cluster, 'sh', '-c', `echo test > /sys/fs/ext4/${device}/trigger_fs_error`)
}

const pass = async (stage: Stage, newImage: ImageMaker): Promise<void> => {
  const { cluster, report } = stage
  const [a, b] = [deskOf(stage, 'team-a'), deskOf(stage, 'team-b')]
  report('two teams begin')
  await a.apply(persistentOverlay('dev', { size: '256Mi' }), persistentOverlay('notebooks', { size: '192Mi' }))
  await b.apply(persistentOverlay('models', { size: '512Mi' }), persistentOverlay('tools', { size: '128Mi' }))
  await a.apply(instance('dev', uses('dev')), instance('notebooks', uses('notebooks')))
  await b.apply(instance('train', uses('models')), instance('tools', uses('tools')))
  await Promise.all([a.ready('dev'), a.ready('notebooks'), b.ready('train'), b.ready('tools')])

  report('overlays fill, instances come and go')
  for (const round of [1, 2, 3, 4, 5]) {
    await Promise.all([a.write('dev', 25), a.write('notebooks', 20), b.write('train', 70), b.write('tools', 18)])
    await a.end('notebooks')
    await a.apply(instance('notebooks', uses('notebooks')))
    await job(newImage, b, `job-${round}`)
    await a.ready('notebooks')
    if (round > 2) await b.end(`job-${round - 2}`)
    await sleep(10_000)
  }

  report('the registry is away, then the API server')
  const late = await newImage('late')
  await b.apply(late)
  await until('the image is looked up', async () =>
    isReady(await stage.kubectl.get('team-b', 'containerimage', 'late')),
  )
  await cluster.control('registry', 'stop')
  await b.apply(instance('late', { image: 'late', ...uses() }))
  await sleep(25_000)
  await cluster.control('registry', 'start')
  await b.ready('late')
  await cluster.control('kube-apiserver', 'kill')
  await sleep(10_000)
  await until(
    'the API server answers',
    async () => (await stage.kubectl.try(['get', '--raw', '/readyz'])).exitCode === 0,
  )

  report('the kernel notes errors in a file system')
  await noteErrors(stage, 'team-b', 'tools')
  await sleep(35_000)
}

export const haveAnAfternoon = (stage: Stage, lookBack: () => Promise<string>): Promise<string> =>
  withNamespace(stage, 'team-a', () =>
    withNamespace(stage, 'team-b', async () => {
      await withImageMaker(stage, (newImage) => pass(stage, newImage))
      return lookBack()
    }),
  )
