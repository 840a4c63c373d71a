/** As Kubernetes reads it (apimachinery, resource.ParseQuantity); a number is one as it is. */
const quantity = /^[+-]?(\d+(\.\d*)?|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/

const isQuantity = (value: unknown): boolean =>
  typeof value === 'number' || (typeof value === 'string' && quantity.test(value))

const fields = new Set(['sizeLimit', 'divisor'])
/** With quantities by name of the resource. */
const maps = new Set(['limits', 'requests', 'overhead'])
/** Fields of a PodSpec that lead to them: what has keys of the user's own is not looked into. */
const ways = new Set([
  ...['containers', 'initContainers', 'resources', 'env', 'valueFrom', 'resourceFieldRef'],
  ...[
    'volumes',
    'emptyDir',
    'downwardAPI',
    'projected',
    'sources',
    'items',
    'ephemeral',
    'volumeClaimTemplate',
    'spec',
  ],
])

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/**
 * The first field of (a part of) a PodSpec that should be a quantity and is none, by its path: the schema takes any
 * word, and what the API server says of the pod does not name the field.
 */
export const badQuantity = (part: unknown, path: string): { path: string; value: unknown } | undefined => {
  if (!isObject(part)) return undefined
  for (const [key, value] of Object.entries(part)) {
    const at = Array.isArray(part) ? `${path}[${key}]` : `${path}.${key}`
    if (fields.has(key) && !isQuantity(value)) return { path: at, value }
    const [name, amount] =
      (maps.has(key) && isObject(value) && Object.entries(value).find(([, each]) => !isQuantity(each))) || []
    if (name !== undefined) return { path: `${at}.${name}`, value: amount }
    const below = ways.has(key) || Array.isArray(part) ? badQuantity(value, at) : undefined
    if (below) return below
  }
  return undefined
}
