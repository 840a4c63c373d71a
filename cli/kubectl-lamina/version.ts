import manifest from '../../package.json' with { type: 'json' }

export const { version } = manifest
export const userAgent = `kubectl-lamina/${version}`

/** Major version of the oldest Node that runs it. */
export const oldestNode = 22
