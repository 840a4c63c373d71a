import { setTimeout as sleep } from 'node:timers/promises'
import { containerImages, instances } from '../../../kube/resources.ts'
import { freshImage } from '../../e2e/support/images.ts'
import { countRequests } from './audit.ts'
import { createAll, imageName, instance, numbered, overlay } from './objects.ts'
import { type ControllerProcess, startController } from './process.ts'
import type { FanOut, Growth } from './results.ts'
import { ready, sightings } from './sightings.ts'
import { costFrom, makeNamespace, removeNamespace, type World } from './world.ts'

/** As teams have them. */
const perNamespace = 500
const steadySeconds = 60
/** Until V8 has given back what it needed for the work. */
const settleMs = 15_000

const settledMemory = async (controller: ControllerProcess): Promise<number> => {
  await controller.quiet()
  await sleep(settleMs)
  return controller.memory()
}

const round = (value: number): number => Math.round(value * 10) / 10

interface Growing {
  namespaces: string[]
  made: number
  /** So many of them run, the first ones; the others are stopped, for a machine has to make all those pods. */
  running: number
}

/** Makes instances until there are so many in all. */
const growTo = async (world: World, growing: Growing, to: number): Promise<void> => {
  const { client, report } = world
  const { namespaces, running } = growing
  while (growing.made < to) {
    const count = Math.min(perNamespace, to - growing.made)
    const state = growing.made < running ? 'Running' : 'Stopped'
    const namespace = `bench-growth-${namespaces.length}`
    await makeNamespace(world, namespace)
    namespaces.push(namespace)
    const seen = await sightings(client, instances, namespace, ready)
    await createAll(client, namespace, numbered('it', count), (name) => [overlay(name), instance(name, { state })])
    await seen.until(count, 1_200)
    seen.stop()
    growing.made += count
    report(`growth: ${growing.made} instances`)
  }
}

/** What one image's change costs when many instances run on it. */
const fanOut = async (world: World, namespace: string, count: number): Promise<FanOut> => {
  const { client, cluster, controller, report } = world
  await freshImage(cluster, 'bench/next')
  const cost = await costFrom(world)
  const image = `${cluster.registry.host}/bench/next:1`
  await client.mergePatch(
    containerImages,
    { namespace, name: imageName },
    { spec: { source: { registry: { image } } } },
  )
  await sleep(1_000)
  await controller.quiet()
  const { reconciles, requests } = await cost()
  const counts = countRequests(requests)
  report(`one image changed under ${count} instances: ${JSON.stringify(reconciles)}, ${JSON.stringify(counts)}`)
  return { instances: count, reconciles, requests: counts }
}

const steady = async (world: World): Promise<Growth['steady']> => {
  const cost = await costFrom(world)
  await sleep(steadySeconds * 1000)
  const { requests, cpuSeconds } = await cost()
  const counts = countRequests(requests)
  world.report(`${steadySeconds} s with nothing to do: ${JSON.stringify(counts)}, ${cpuSeconds.toFixed(2)} s of CPU`)
  return { seconds: steadySeconds, requests: counts, cpuSeconds }
}

/** Ends the controller and starts it again. @returns seconds until each object has been looked at and nothing waits */
const restart = async (world: World, instancesThere: number, dir: string) => {
  const { cluster, report } = world
  await world.controller.stop()
  const started = performance.now()
  world.controller = await startController(cluster, { dir })
  const cost = await costFrom(world)
  // Each and its overlay.
  const looked = 2 * instancesThere
  let seconds = 0
  for (;;) {
    const metrics = await world.controller.metrics()
    const busy = metrics.sum('workqueue_depth') + metrics.sum('controller_runtime_active_workers')
    seconds = (performance.now() - started) / 1000
    if (busy === 0 && metrics.sum('controller_runtime_reconcile_total') >= looked) break
    if (seconds > 300) throw new Error(`the controller has not come to rest ${seconds} s after its restart`)
    await sleep(100)
  }
  const mebibytes = await settledMemory(world.controller)
  const requests = countRequests((await cost()).requests)
  report(
    `restart with ${instancesThere} instances: consistent after ${seconds.toFixed(1)} s (aim 20), ${mebibytes.toFixed(1)} MiB, ${JSON.stringify(requests)}`,
  )
  return { instances: instancesThere, seconds: round(seconds), mebibytes: round(mebibytes), requests }
}

/** A controller that begins with nothing, and more and more instances, each with an overlay of its own. */
export const benchGrowth = async (
  world: World,
  { sizes, running }: { sizes: readonly number[]; running: number },
  dir: string,
): Promise<{ growth: Growth; fanOut: FanOut }> => {
  const { cluster, report } = world
  await world.controller.stop()
  world.controller = await startController(cluster, { dir })
  const growing: Growing = { namespaces: [], made: 0, running }
  try {
    const memory: Growth['memory'] = []
    for (const size of [0, ...sizes]) {
      await growTo(world, growing, size)
      const mebibytes = await settledMemory(world.controller)
      report(`growth: ${size} instances, ${mebibytes.toFixed(1)} MiB of anonymous memory`)
      memory.push({ instances: size, mebibytes: round(mebibytes) })
    }
    const quiet = await steady(world)
    const restarted = await restart(world, growing.made, dir)
    const changed = await fanOut(world, growing.namespaces[0] ?? '', Math.min(perNamespace, growing.made))
    return { growth: { memory, running, restart: restarted, steady: quiet }, fanOut: changed }
  } finally {
    for (const namespace of growing.namespaces) await removeNamespace(world, namespace)
  }
}
