import * as z from 'zod'
import { annotations, apiVersion, labelPattern as name } from '../../kube/names.ts'
import { execQuery, watchQuery } from '../paths.ts'

/** What the page may ask of the API server, and how it is asked there. Nothing else goes through. */

/** How a request goes on. */
export interface Route {
  /** Path and query at the API server. */
  path: string
  /** Makes the body from the one that came. */
  body?: { contentType: string; from(json: unknown): object }
}

export interface Asked {
  method: string
  /** The request target as it came: nothing is decoded, so nothing can be hidden by an encoding. */
  target: string
  isWebSocket: boolean
}

const podName = `${name}(?:\\.${name})*`
const version = '[0-9]{1,32}'
const listQuery = '\\?limit=[0-9]{1,4}(?:&continue=[A-Za-z0-9_%=-]{1,4096})?'
const ours = `/apis/${apiVersion}/namespaces/${name}`
const kinds = '(?:containerimages|persistentoverlays|instances)'

/** @throws ZodError for any other patch */
const patchOfInstance = z.union([
  z.strictObject({ spec: z.strictObject({ state: z.enum(['Running', 'Stopped']) }) }),
  z.strictObject({
    metadata: z.strictObject({
      annotations: z.strictObject({ [annotations.startRequested]: z.string().min(1).max(253) }),
    }),
  }),
])

interface Rule {
  method: string
  /** Whether it is asked for by a WebSocket's handshake. */
  isWebSocket?: true
  target: RegExp
  body?: Route['body']
}

const whole = (pattern: string): RegExp => new RegExp(`^${pattern}$`)
const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
const exec = whole(`/api/v1/namespaces/${name}/pods/${podName}/exec\\?${literally(execQuery)}`)

const rules: readonly Rule[] = [
  { method: 'GET', target: whole(`/api/v1/namespaces${listQuery}`) },
  {
    method: 'POST',
    target: whole('/apis/authentication\\.k8s\\.io/v1/selfsubjectreviews'),
    body: {
      contentType: 'application/json',
      from: () => ({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
    },
  },
  { method: 'GET', target: whole(`${ours}/${kinds}${listQuery}`) },
  {
    method: 'GET',
    isWebSocket: true,
    target: whole(`${ours}/${kinds}\\?${literally(watchQuery)}${version}`),
  },
  {
    method: 'PATCH',
    target: whole(`${ours}/instances/${name}`),
    body: { contentType: 'application/merge-patch+json', from: (json) => patchOfInstance.parse(json) },
  },
  { method: 'GET', isWebSocket: true, target: exec },
  // Why a terminal was refused: without a WebSocket nothing is started, and the API server says in words what it thinks.
  { method: 'GET', target: exec },
]

/** Undefined when the page has no use for such a request. */
export const routeOf = ({ method, target, isWebSocket }: Asked): Route | undefined => {
  const rule = rules.find(
    (one) => one.method === method && (one.isWebSocket ?? false) === isWebSocket && one.target.test(target),
  )
  return rule && { path: target, ...(rule.body ? { body: rule.body } : {}) }
}
