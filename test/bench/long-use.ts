import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { apiVersion } from '../../kube/names.ts'
import type { Cluster, Report } from '../cluster/cluster.ts'
import { conditionOf } from '../e2e/support/conditions.ts'
import { type FileServer, freshCopy, serveFiles, sha256Of } from '../e2e/support/files.ts'
import { createFixture, type Fixture } from '../e2e/support/fixture.ts'
import { freshImage } from '../e2e/support/images.ts'
import { createKubectl } from '../e2e/support/kubectl.ts'
import { containerImage, instance, persistentOverlay, promptly } from '../e2e/support/objects.ts'
import { registrySecret, registrySecretName } from '../e2e/support/registry.ts'
import { until } from '../e2e/support/until.ts'
import { anonymousMemory, mib, statusFile } from './memory.ts'

/** What a node's agent comes to hold, when it is used in every way and for long. */

const rounds = 12
const startsInRound = 4
/** V8 lets go of what it does not need when there has been nothing to do for a while. */
const settleMs = 20_000

interface Site {
  cluster: Cluster
  fixture: Fixture
  server: FileServer
  sif: string
  round: number
}

const fileImage = (name: string, file: object, spec: object = {}) => ({
  apiVersion,
  kind: 'ContainerImage',
  metadata: { name },
  spec: { source: { file }, ...spec },
})

/** Two instances at once, on an image that is converted for them: one with a new overlay, one with an old one. */
const convertAndWrite = async ({ cluster, fixture, round }: Site): Promise<void> => {
  const name = `converted-${round}`
  await freshImage(cluster, `bench/${fixture.namespace}-${round}`)
  const reference = `${cluster.registry.host}/bench/${fixture.namespace}-${round}:1`
  await fixture.apply(
    containerImage(name, reference, { pullSecrets: [registrySecretName] }),
    persistentOverlay(`new-${round}`),
    persistentOverlay('old'),
    instance(`${name}-a`, { image: name, overlays: [`new-${round}`], podTemplate: promptly }),
    instance(`${name}-b`, { image: name, overlays: ['old'], podTemplate: promptly }),
  )
  await Promise.all([fixture.ready('instance', `${name}-a`), fixture.ready('instance', `${name}-b`)])
  await fixture.exec(`${name}-a`, 'sh', '-c', 'dd if=/dev/urandom of=/root/file bs=1M count=8 status=none')
  await Promise.all([fixture.end(`${name}-a`), fixture.end(`${name}-b`)])
  await fixture.delete('persistentoverlay', `new-${round}`)
}

/** A file from a web server for a start, and the same of which the sum is wrong. */
const download = async ({ fixture, server, sif, round }: Site): Promise<void> => {
  const url = (where: string): string => server.url(`${where}/minimal.sif`)
  await freshCopy('minimal.sif', sif)
  await fixture.apply(
    fileImage(`file-${round}`, { url: url('right'), sha256: await sha256Of(sif) }),
    fileImage(`wrong-${round}`, { url: url(`wrong-${round}`), sha256: '0'.repeat(64) }),
    instance(`file-${round}`, { image: `file-${round}`, podTemplate: promptly }),
    instance(`wrong-${round}`, { image: `wrong-${round}`, podTemplate: promptly }),
  )
  await fixture.ready('instance', `file-${round}`)
  await until('the wrong sum is told', async () => {
    const { reason } = conditionOf(await fixture.get('instance', `wrong-${round}`), 'ImageReady')
    return reason === 'ImageDigestMismatch'
  })
  await Promise.all([fixture.end(`file-${round}`), fixture.end(`wrong-${round}`)])
}

/** A file that is brought before anybody asks. */
const prefetch = async ({ fixture, server, sif, round }: Site): Promise<void> => {
  const name = `early-${round}`
  await freshCopy('minimal.sif', sif)
  const file = { url: server.url('minimal.sif'), sha256: await sha256Of(sif) }
  await fixture.apply(fileImage(name, file, { prefetch: {} }))
  await until(
    `${name} is on the node`,
    async () => {
      const { status = {} } = await fixture.get('containerimage', name)
      return JSON.stringify(status).includes('"readyNodes":1')
    },
    { seconds: 90 },
  )
  await fixture.apply(instance(name, { image: name, podTemplate: promptly }))
  await fixture.ready('instance', name)
  await fixture.end(name)
  await fixture.delete('containerimage', name)
}

/** The agent's anonymous memory before, during and after starts of images that are brought in every way, and failures. */
export const benchLongUse = async (cluster: Cluster, report: Report): Promise<void> => {
  const kubectl = createKubectl(cluster.kube('kubectl'), process.env)
  const agent = await statusFile(cluster, 'agent.cjs')
  const dir = await mkdtemp(join(tmpdir(), 'lamina-long-use-'))
  const sif = join(dir, 'minimal.sif')
  const server = await serveFiles(cluster, { 'minimal.sif': sif })
  const fixture = await createFixture(kubectl, 'long-use')
  const before = await anonymousMemory(agent)
  const after: number[] = []
  try {
    await fixture.apply(registrySecret(cluster))
    for (let round = 1; round <= rounds; round++) {
      const site: Site = { cluster, fixture, server, sif, round }
      await convertAndWrite(site)
      await download(site)
      await prefetch(site)
      after.push(await anonymousMemory(agent))
    }
    await sleep(settleMs)
  } finally {
    await fixture.destroy()
    await server.close()
    await rm(dir, { recursive: true })
  }
  report(
    `anonymous memory of the agent in ${rounds * startsInRound} starts and ${rounds} failures: before ${mib(before)}, most after a round ${mib(Math.max(...after))}, at the end ${mib(await anonymousMemory(agent))} (aim 35)`,
  )
  report(`  after each round, in MiB: ${after.map((value) => value.toFixed(1)).join(' ')}`)
}
