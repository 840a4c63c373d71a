/** The cluster that the user has already: the quickstart tells of it, and leaves it alone. */
import http from 'node:http'
import https from 'node:https'
import { createInterface } from 'node:readline/promises'
import { text } from 'node:stream/consumers'
import { type Cluster, KubeConfig } from '@kubernetes/client-node'
import * as z from 'zod'
import { loadKubeconfig, type Surroundings } from '../cli/kubectl-lamina/kubeconfig.ts'
import type { Narrator } from './narrator.ts'

export interface OtherCluster {
  context: string
  /** URL of its API server. */
  server: string
}

/** Nobody who begins should wait for a cluster that is away. */
const patienceMs = 2_000

/** An API server says its version, or, to a stranger, a Status of kind "no". */
const answerSchema = z.union([z.looseObject({ gitVersion: z.string() }), z.looseObject({ kind: z.literal('Status') })])

/** Without credentials: whoever only looks runs no login of the user's. */
const isKubernetes = async (cluster: Cluster, timeoutMs: number): Promise<boolean> => {
  const stranger = new KubeConfig()
  const contexts = [{ name: cluster.name, cluster: cluster.name, user: '' }]
  stranger.loadFromOptions({ clusters: [cluster], users: [], contexts, currentContext: cluster.name })
  const url = new URL(`${cluster.server.replace(/\/$/, '')}/version`)
  const options: https.RequestOptions = { signal: AbortSignal.timeout(timeoutMs) }
  await stranger.applyToHTTPSOptions(options)
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
  const { get } = url.protocol === 'https:' ? https : http
  get(url, options, resolve).once('error', reject)
  return answerSchema.safeParse(JSON.parse(await text(await promise))).success
}

/** What kubectl would talk to here, if that answers soon; whatever else there is, is no cluster to speak of. */
export const findOtherCluster = async (
  surroundings?: Surroundings,
  timeoutMs = patienceMs,
): Promise<OtherCluster | undefined> => {
  try {
    const { config } = loadKubeconfig({}, surroundings)
    const cluster = config.getCurrentCluster()
    if (!cluster || !(await isKubernetes(cluster, timeoutMs))) return undefined
    return { context: config.getCurrentContext(), server: cluster.server }
  } catch {
    return undefined
  }
}

const noticeOf = ({ context, server }: OtherCluster): string =>
  `your kubeconfig's cluster "${context}" (${server}) answers, and is left alone: the quickstart makes one of its own on this machine (docs/install.md puts Lamina on yours)`

const wayTo = ({ context }: OtherCluster): string => `To use Lamina on "${context}" instead, see whether it is there:

  kubectl --context '${context}' get crd instances.lamina.dev

If not, make its image, for a registry that the nodes reach, and install it (docs/install.md):

  npm run build && docker build --tag REGISTRY/lamina:0.1.0 . && docker push REGISTRY/lamina:0.1.0
  helm --kube-context '${context}' install lamina charts/lamina --namespace lamina-system --create-namespace --wait \\
    --set image.repository=REGISTRY/lamina --set image.tag=0.1.0

Then docs/tutorial.md, from "A namespace" on, is the quickstart's story by hand.`

/** Where somebody can answer. */
export interface Dialogue {
  input: NodeJS.ReadableStream
  output: NodeJS.WritableStream
}

/** Yes by return, and when there is no more to read. */
export const agrees = async (question: string, { input, output }: Dialogue): Promise<boolean> => {
  const lines = createInterface({ input, output })
  const { promise, resolve } = Promise.withResolvers<string>()
  lines.once('close', () => resolve(''))
  lines.once('SIGINT', () => {
    lines.close()
    process.kill(process.pid, 'SIGINT')
  })
  lines.question(`${question} [Y/n] `).then(resolve, () => {})
  const answer = await promise
  lines.close()
  return !/^\s*n/i.test(answer)
}

/**
 * Tells of the user's cluster, and how to use it to who would rather have that.
 *
 * @param asked undefined where nobody can answer
 * @returns whether the quickstart is to go on
 */
export const offer = async (
  other: OtherCluster,
  { report, say }: Pick<Narrator, 'report' | 'say'>,
  asked: ((question: string) => Promise<boolean>) | undefined,
): Promise<boolean> => {
  report(noticeOf(other))
  if (!asked || (await asked('Go on?'))) return true
  say(`\n${wayTo(other)}`)
  return false
}
