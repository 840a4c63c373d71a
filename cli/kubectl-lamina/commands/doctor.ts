import type { KubeObject } from '../../../kube/resource.ts'
import { containerImages, instances, nodes, persistentOverlays, pods } from '../../../kube/resources.ts'
import { CliError, usageError } from '../../shared/cli-error.ts'
import { didYouMean, similarTo } from '../../shared/similar.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import { isSameCause, withCausesOnce } from '../doctor/causes.ts'
import { type Finding, findingLines } from '../doctor/finding.ts'
import { findingOfNode, findingsOfInstallation } from '../doctor/installation.ts'
import { lookAtInstallation, lookForAgents } from '../doctor/look-at-installation.ts'
import { findingsOfImage, findingsOfInstance, findingsOfOverlay } from '../doctor/objects.ts'
import { byTime, eventsAbout } from '../events.ts'
import { ifAllowed } from '../if-allowed.ts'
import { byName } from '../listing.ts'
import { namespaces } from '../named.ts'
import { serialise } from '../output.ts'

const found = <T extends KubeObject>(object: T | undefined, kind: string, name: string, namespace: string): T => {
  if (object) return object
  throw new CliError(`there is no ${kind} "${name}"${namespace === '' ? '' : ` in namespace ${namespace}`}`)
}

const lookAtInstance = async ({ client, namespace }: Connection, name: string): Promise<Finding[]> => {
  const instance = found(await client.get(instances, { namespace, name }), 'instance', name, namespace)
  const [its, podsEvents, pod, image, ...overlays] = await Promise.all([
    eventsAbout(client, namespace, 'Instance', name),
    eventsAbout(client, namespace, 'Pod', name),
    ifAllowed(client.get(pods, { namespace, name })),
    client.get(containerImages, { namespace, name: instance.spec.imageRef.name }),
    ...instance.spec.overlays.map((use) => client.get(persistentOverlays, { namespace, name: use.name })),
  ])
  const parts = [
    ...(image ? findingsOfImage(image, []) : []),
    ...overlays.flatMap((overlay) => (overlay ? findingsOfOverlay(overlay, []) : [])),
  ].filter(({ level }) => level !== 'ok')
  const own = pod?.metadata.uid === instance.status.pod?.uid ? pod : undefined
  const told = findingsOfInstance(instance, byTime([...its, ...podsEvents]), own)
  return [...told, ...parts.filter((part) => !told.some((each) => isSameCause(each, part)))]
}

const lookAtOverlay = async ({ client, namespace }: Connection, name: string): Promise<Finding[]> => {
  const overlay = found(await client.get(persistentOverlays, { namespace, name }), 'overlay', name, namespace)
  return findingsOfOverlay(overlay, await eventsAbout(client, namespace, 'PersistentOverlay', name))
}

const lookAtImage = async ({ client, namespace }: Connection, name: string): Promise<Finding[]> => {
  const image = found(await client.get(containerImages, { namespace, name }), 'image', name, namespace)
  return findingsOfImage(image, await eventsAbout(client, namespace, 'ContainerImage', name))
}

const lookAtNode = async ({ client }: Connection, name: string): Promise<Finding[]> => {
  const node = found(await client.get(nodes, { namespace: '', name }), 'node', name, '')
  const agentNodes = await lookForAgents({ client })
  return [findingOfNode(node, await eventsAbout(client, 'default', 'Node', name), agentNodes?.has(name))]
}

const looks = {
  instance: lookAtInstance,
  inst: lookAtInstance,
  instances: lookAtInstance,
  overlay: lookAtOverlay,
  ovl: lookAtOverlay,
  persistentoverlay: lookAtOverlay,
  image: lookAtImage,
  cimg: lookAtImage,
  containerimage: lookAtImage,
  node: lookAtNode,
} as const

const isKind = (word: string): word is keyof typeof looks => Object.hasOwn(looks, word)

const lookAtAll = async (connection: Connection): Promise<Finding[]> => {
  const { client, namespace } = connection
  const installation = findingsOfInstallation(await lookAtInstallation(connection))
  if (installation.some(({ what }) => what.includes('does not know'))) return installation
  const [allInstances, overlays, images] = await Promise.all([
    ifAllowed(client.list(instances, { namespace })),
    ifAllowed(client.list(persistentOverlays, { namespace })),
    ifAllowed(client.list(containerImages, { namespace })),
  ])
  const parts = [
    ...byName(overlays ?? []).flatMap((each) => findingsOfOverlay(each, [])),
    ...byName(images ?? []).flatMap((each) => findingsOfImage(each, [])),
  ]
  const objects = withCausesOnce(
    byName(allInstances ?? []).flatMap((each) => findingsOfInstance(each, [])),
    parts,
  )
  const unseen = Object.entries({ instances: allInstances, overlays, images })
    .filter(([, listed]) => listed === undefined)
    .map(([kind]): Finding => {
      return {
        subject: `namespace/${namespace}`,
        level: 'note',
        what: `you may not list ${kind}: they are not looked at`,
      }
    })
  const troubled = objects.filter(({ level }) => level !== 'ok')
  return [
    ...installation,
    ...unseen,
    ...troubled,
    ...(troubled.length < objects.length
      ? [
          {
            subject: `namespace/${namespace}`,
            level: 'ok',
            what: `nothing is wrong with ${troubled.length === 0 ? 'its' : 'the other'} ${objects.length - troubled.length} instances, overlays and images`,
          } as const,
        ]
      : []),
  ]
}

const parseSubject = (what: string): { kind: keyof typeof looks; name: string } => {
  const [kind = '', name = '', ...more] = what.split('/')
  if (isKind(kind.toLowerCase()) && name !== '' && more.length === 0) {
    const lower = kind.toLowerCase()
    if (isKind(lower)) return { kind: lower, name }
  }
  throw usageError(`"${what}": give instance/NAME, overlay/NAME, image/NAME or node/NAME, or nothing for all of it`)
}

/** All lists of a namespace that is not there are empty, and nothing would be wrong. */
const assertNamespace = async ({ client, namespace }: Connection): Promise<void> => {
  const isThere = await ifAllowed(client.get(namespaces, { namespace: '', name: namespace }).then(Boolean))
  if (isThere !== false) return
  const names = ((await ifAllowed(client.list(namespaces))) ?? []).map(({ metadata }) => metadata.name)
  throw new CliError(`there is no namespace "${namespace}"${didYouMean(similarTo(namespace, names))}`)
}

/** The exit code says it too: 1 where something is wrong. */
export const doctor = async (
  { connect, print }: CommandContext,
  what: string | undefined,
  { output }: { output?: 'json' | 'yaml' },
): Promise<number> => {
  const subject = what === undefined ? undefined : parseSubject(what)
  const connection = await connect()
  if (subject?.kind !== 'node') await assertNamespace(connection)
  const findings = subject ? await looks[subject.kind](connection, subject.name) : await lookAtAll(connection)
  print(
    output
      ? await serialise(findings, output)
      : findings
          .flatMap(findingLines)
          .map((line) => `${line}\n`)
          .join(''),
  )
  return findings.some(({ level }) => level === 'wrong') ? 1 : 0
}
