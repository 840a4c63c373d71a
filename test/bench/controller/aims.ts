/** What the figures are held against. */
export const aims = {
  /** Of what pods with as much storage reach in the same run. */
  readyShare: 0.85,
  /** Milliseconds from apply to the pod. */
  latency: { p50: 15, p99: 100 },
  /** MiB of anonymous memory. */
  memory: [
    { instances: 0, mebibytes: 40 },
    { instances: 1_000, mebibytes: 80 },
    { instances: 10_000, mebibytes: 200 },
  ],
  /** Until a controller that begins anew has looked at all. */
  restartSeconds: 20,
  /** For one Instance from creation to Ready. */
  writes: new Map([
    ['create pods', 1],
    ['patch instances/status', 2],
    ['patch persistentoverlays/status', 1],
    ['create events', 1],
  ]),
  /** Passes over one object. */
  reconciles: 4,
} as const
