import { formatKey } from '../../../kube/resource.ts'
import { median, quantiles, ratio } from '../statistics.ts'
import { type AuditedRequest, countRequests, isWrite } from './audit.ts'
import { createAll, numbered, type Subject, subjectNames, subjects } from './objects.ts'
import { type Burst, sizeOf } from './results.ts'
import { ready, sightings } from './sightings.ts'
import { type Cost, costFrom, inNamespace, type World } from './world.ts'

interface Round {
  /** Ready per second. */
  rate: number
  /** Milliseconds of each from the burst's first request. */
  times: number[]
  cost: Cost
}

export type BurstSize = Pick<Burst, 'count' | 'perSecond'>

const longestSeconds = 1_200

const round = (value: number): number => Math.round(value * 10) / 10

const burstIn = async (world: World, namespace: string, subject: Subject, size: BurstSize): Promise<Round> => {
  const { client, controller, image } = world
  const { count, perSecond } = size
  const { resource, bodies } = subjects[subject]
  const seen = await sightings(client, resource, namespace, ready)
  try {
    const cost = await costFrom(world)
    const started = performance.now()
    const all = seen.until(count, longestSeconds)
    const created = createAll(client, namespace, numbered('it', count), (name) => bodies(name, image), perSecond)
    await Promise.all([all, created])
    const { requests, ...costs } = await cost()
    const times = [...seen.at.values()].map((at) => at - started)
    // What is told of one that is Ready, while others are not, is no longer a start's.
    const isOfStart = ({ name = '', at }: AuditedRequest): boolean =>
      at <= performance.timeOrigin + (seen.at.get(formatKey({ namespace, name })) ?? Number.POSITIVE_INFINITY)
    return {
      rate: count / (Math.max(...times) / 1000),
      times,
      cost: { ...costs, requests: requests.filter(isOfStart) },
    }
  } finally {
    seen.stop()
    await controller.quiet()
  }
}

const perObject = (counts: Record<string, number>, count: number): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counts).flatMap(([name, value]) =>
      value === 0 ? [] : [[name, Math.round((value / count) * 100) / 100]],
    ),
  )

/** Pods, pods with a claim and instances in turn, so that all have the same neighbours on the machine. */
export const benchBurst = async (world: World, size: BurstSize, rounds: number): Promise<Burst> => {
  const { count } = size
  const called = sizeOf(size)
  const taken: Record<Subject, Round[]> = { pod: [], claimed: [], instance: [] }
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjectNames) {
      const measured = await inNamespace(world, (namespace) => burstIn(world, namespace, subject, size))
      taken[subject].push(measured)
      world.report(`${called}, ${subject}: ${measured.rate.toFixed(1)} Ready/s`)
    }
  }
  const rates = (subject: Subject) => taken[subject].map(({ rate }) => round(rate))
  const readyIn = (subject: Subject) => quantiles(taken[subject].flatMap(({ times }) => times))
  const plane = (subject: Subject) =>
    round((taken[subject].reduce((sum, { cost }) => sum + cost.planeSeconds, 0) * 1000) / (count * rounds))
  const costs = taken.instance.map(({ cost }) => cost)
  const all = count * costs.length
  const reconciles: Record<string, number> = {}
  for (const cost of costs) {
    for (const [name, value] of Object.entries(cost.reconciles)) reconciles[name] = (reconciles[name] ?? 0) + value
  }
  const burst: Burst = {
    ...size,
    rates: { pod: rates('pod'), claimed: rates('claimed'), instance: rates('instance') },
    ready: { pod: readyIn('pod'), claimed: readyIn('claimed'), instance: readyIn('instance') },
    requests: perObject(countRequests(costs.flatMap(({ requests }) => requests)), all),
    reconciles: perObject(reconciles, all),
    planeMs: { pod: plane('pod'), claimed: plane('claimed'), instance: plane('instance') },
    cpuMs: round((costs.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) * 1000) / all),
  }
  const writes = costs.flatMap(({ requests }) => requests).filter(isWrite).length / all
  world.report(
    `${called}: ${ratio(median(rates('instance')), median(rates('claimed')))} of pods with a claim, ${ratio(median(rates('instance')), median(rates('pod')))} of pods (aim 0.85); ${writes.toFixed(2)} writes and ${burst.cpuMs} ms of CPU an instance; the rest of the control plane ${JSON.stringify(burst.planeMs)} ms\n  requests ${JSON.stringify(burst.requests)}\n  reconciles ${JSON.stringify(burst.reconciles)}`,
  )
  return burst
}
