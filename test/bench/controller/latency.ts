import { instances, pods } from '../../../kube/resources.ts'
import { quantiles } from '../statistics.ts'
import { type Body, createAll, instance, numbered, subjects } from './objects.ts'
import { paced } from './pace.ts'
import type { Latency } from './results.ts'
import { present, ready, sightings } from './sightings.ts'
import { inNamespace, kubectl, type World } from './world.ts'

/** The aim's, and one that leaves two cores room for all else that a start takes. */
const rates = [20, 5] as const
/** The slower ones are as many in as long a time. */
const [fastest] = rates
const fieldManager = 'lamina-bench'

/** The times from applying each name's objects until its pod is seen. */
const appliedToPods = async (
  { client }: World,
  namespace: string,
  names: readonly string[],
  { perSecond, bodiesOf }: { perSecond: number; bodiesOf: (name: string) => readonly Body[] },
): Promise<number[]> => {
  const seen = await sightings(client, pods, namespace, present)
  try {
    const applied = await paced(names, perSecond, async (name) => {
      const at = performance.now()
      for (const { resource, body } of bodiesOf(name)) {
        await client.apply(resource, { ...body, metadata: { ...body.metadata, namespace } }, { fieldManager })
      }
      return at
    })
    await seen.until(names.length, 60)
    return names.map((name, index) => (seen.at.get(`${namespace}/${name}`) ?? Number.NaN) - (applied[index] ?? 0))
  } finally {
    seen.stop()
  }
}

/** Overlays that an instance each has written to, as they are of whoever starts his environment again. */
const withUsedOverlays = async (world: World, namespace: string, names: readonly string[]): Promise<void> => {
  const seen = await sightings(world.client, instances, namespace, ready)
  await createAll(world.client, namespace, names, subjects.instance.bodies)
  await seen.until(names.length, 300)
  seen.stop()
  await kubectl(world, '-n', namespace, 'delete', 'instances.lamina.dev', '--all', '--timeout=5m')
  await world.controller.quiet()
}

/** From the request that applies an Instance until its pod is seen on a watch; a pod applied by hand is what the machine needs for that. */
export const benchLatency = async (world: World, count: number): Promise<Latency[]> => {
  const { image, report } = world
  const latencies: Latency[] = []
  for (const perSecond of rates) {
    const names = numbered('it', Math.ceil((count * perSecond) / fastest))
    const at = (namespace: string, bodiesOf: (name: string) => readonly Body[]) =>
      appliedToPods(world, namespace, names, { perSecond, bodiesOf })
    const measures = [
      {
        what: 'pod by hand',
        act: (namespace: string) => at(namespace, (name) => subjects.pod.bodies(name, image)),
      },
      {
        what: 'instance without an overlay',
        act: (namespace: string) => at(namespace, (name) => [instance(name, { overlays: [] })]),
      },
      {
        what: 'instance, its overlay used before',
        act: async (namespace: string) => {
          await withUsedOverlays(world, namespace, names)
          return at(namespace, (name) => [instance(name)])
        },
      },
      {
        what: 'overlay and instance',
        act: (namespace: string) => at(namespace, subjects.instance.bodies),
      },
    ]
    for (const { what, act } of measures) {
      const latency = { what: `${what}, ${perSecond}/s`, quantiles: quantiles(await inNamespace(world, act)) }
      const { p50, p90, p99, most } = latency.quantiles
      report(`apply → pod, ${latency.what}: p50 ${p50} ms, p90 ${p90}, p99 ${p99}, most ${most} (aim 15, 100)`)
      latencies.push(latency)
    }
  }
  return latencies
}
