import * as z from 'zod'

const quantilesSchema = z.object({ p50: z.number(), p90: z.number(), p99: z.number(), most: z.number() })
/** In milliseconds. */
export type Quantiles = z.infer<typeof quantilesSchema>

const countsSchema = z.record(z.string(), z.number())

const burstSchema = z.object({
  count: z.number(),
  /** How fast they were created; without it, as fast as it goes. */
  perSecond: z.number().optional(),
  /** Ready per second of each round, the rounds interleaved. */
  rates: z.object({ pod: z.array(z.number()), claimed: z.array(z.number()), instance: z.array(z.number()) }),
  /** From the first request to Ready, of all rounds. */
  ready: z.object({ pod: quantilesSchema, claimed: quantilesSchema, instance: quantilesSchema }),
  /** For one Instance and its overlay. */
  requests: countsSchema,
  reconciles: countsSchema,
  /** Of the controller, for one Instance. */
  cpuMs: z.number(),
  /** Of API server, etcd, scheduler, controller-manager and kwok, for one. */
  planeMs: z.object({ pod: z.number(), claimed: z.number(), instance: z.number() }),
})
export type Burst = z.infer<typeof burstSchema>

export const sizeOf = ({ count, perSecond }: Pick<Burst, 'count' | 'perSecond'>): string =>
  perSecond === undefined ? `${count} at once` : `${count}, ${perSecond} a second`

const fanOutSchema = z.object({ instances: z.number(), reconciles: countsSchema, requests: countsSchema })
export type FanOut = z.infer<typeof fanOutSchema>

const latencySchema = z.object({ what: z.string(), quantiles: quantilesSchema })
export type Latency = z.infer<typeof latencySchema>

const growthSchema = z.object({
  /** MiB of anonymous memory, when all work is done. */
  memory: z.array(z.object({ instances: z.number(), mebibytes: z.number() })),
  /** How many of them run; the others are stopped. */
  running: z.number(),
  /** A controller that begins with all of them there. */
  restart: z.object({ instances: z.number(), seconds: z.number(), mebibytes: z.number(), requests: countsSchema }),
  steady: z.object({ seconds: z.number(), requests: countsSchema, cpuSeconds: z.number() }),
})
export type Growth = z.infer<typeof growthSchema>

/** A run, as it is kept in docs/plots/data. */
export const runSchema = z.object({
  kernel: z.string(),
  cores: z.number(),
  nodes: z.number(),
  bursts: z.array(burstSchema),
  fanOut: fanOutSchema,
  latencies: z.array(latencySchema),
  growth: growthSchema,
})
export type Run = z.infer<typeof runSchema>
