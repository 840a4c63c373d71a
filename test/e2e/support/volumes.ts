import { execa } from 'execa'
import * as z from 'zod'
import type { Cluster } from '../../cluster/cluster.ts'
import type { Fixture } from './fixture.ts'
import type { Kubectl } from './kubectl.ts'
import { onNode } from './node.ts'
import { until } from './until.ts'

/** A user's own claim, bound, and where its volume is on the node. */
export interface UserVolume {
  claimName: string
  /** Directory of the volume, in the cluster's namespaces. */
  path: string
}

/** Makes a claim whose volume is there at once. */
export const userVolume = async (
  { kubectl, fixture }: { kubectl: Kubectl; fixture: Fixture },
  claimName: string,
  { size = '96Mi', accessMode = 'ReadWriteOnce', volumeMode = 'Filesystem' } = {},
): Promise<UserVolume> => {
  const { namespace } = fixture
  await fixture.apply({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: claimName },
    spec: {
      accessModes: [accessMode],
      volumeMode,
      storageClassName: 'loop-immediate',
      resources: { requests: { storage: size } },
    },
  })
  const volumeName = await until(`claim ${claimName} is bound`, async () => {
    const template = '{.status.phase} {.spec.volumeName}'
    const [phase, name] = (
      await kubectl.run(['-n', namespace, 'get', 'pvc', claimName, '-o', `jsonpath=${template}`])
    ).split(' ')
    return phase === 'Bound' && name
  })
  return { claimName, path: await kubectl.run(['get', 'pv', volumeName, '-o', 'jsonpath={.spec.local.path}']) }
}

/** Runs a shell script on the node, in the volume's directory. */
export const inVolume = (cluster: Cluster, { path }: UserVolume, script: string): Promise<string> =>
  onNode(cluster, 'sh', '-euc', `cd '${path}'\n${script}`)

/** Where the volume of an overlay's own claim is on the node. */
export const overlayVolume = async (
  { kubectl, fixture }: { kubectl: Kubectl; fixture: Pick<Fixture, 'namespace'> },
  overlay: string,
): Promise<UserVolume> => {
  const claimName = `lamina-${overlay}`
  const volume = await kubectl.run([
    ...['-n', fixture.namespace, 'get', 'pvc', claimName],
    ...['-o', 'jsonpath={.spec.volumeName}'],
  ])
  return { claimName, path: await kubectl.run(['get', 'pv', volume, '-o', 'jsonpath={.spec.local.path}']) }
}

const losetupSchema = z.object({
  loopdevices: z.array(z.object({ 'maj:min': z.string(), 'back-maj:min': z.string(), 'back-file': z.string() })),
})

/** Loop devices of the machine, with the numbers of the device that their file's file system is on. */
const loopDevices = async () => {
  const { stdout } = await execa('losetup', ['--list', '--json', '--output', 'MAJ:MIN,BACK-MAJ:MIN,BACK-FILE'])
  const { loopdevices } = losetupSchema.parse(stdout === '' ? { loopdevices: [] } : JSON.parse(stdout))
  return loopdevices.map((loop) => ({
    ...{ numbers: loop['maj:min'].trim(), file: loop['back-file'] },
    fileSystem: loop['back-maj:min'].trim(),
  }))
}

/**
 * Loop devices over files in the namespace's volumes, of which each is a file system
 * on a loop device of its own. Told by that: the path of a reader's image names no
 * volume, and other clusters on this machine have such paths, too.
 */
export const imageLoops = async ({ kubectl, fixture }: { kubectl: Kubectl; fixture: Fixture }): Promise<string[]> => {
  const names = await kubectl.run([
    ...['-n', fixture.namespace, 'get', 'pvc'],
    ...['-o', 'jsonpath={range .items[*]}{.spec.volumeName}{"\\n"}{end}'],
  ])
  const volumes = names.split('\n').filter(Boolean)
  const loops = await loopDevices()
  const fileSystems = loops.filter(({ file }) => volumes.some((volume) => file.includes(`/${volume}.`)))
  return loops
    .filter(({ fileSystem }) => fileSystems.some(({ numbers }) => numbers === fileSystem))
    .map(({ file }) => file)
}
