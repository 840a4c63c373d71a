import * as z from 'zod'
import { ApiError } from '../../kube/api-error.ts'
import { group } from '../../kube/names.ts'
import { CliError } from '../shared/cli-error.ts'

const networkWords: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: is the cluster up, and the port right?',
  ENOTFOUND: 'its name is not known: check the server in the kubeconfig',
  EAI_AGAIN: 'its name cannot be looked up now: check your network',
  ECONNRESET: 'it closed the connection',
  EPROTO: 'TLS fails with it: where it speaks none, as kubectl proxy does, write http:// in the kubeconfig',
  ETIMEDOUT: 'it does not answer: check your network, VPN and proxy',
  EHOSTUNREACH: 'there is no route to it: check your network and VPN',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not signed by the authority in the kubeconfig',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the authority in the kubeconfig',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the authority in the kubeconfig',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}

const codesIn = (error: unknown): string[] => {
  if (!(error instanceof Error)) return []
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : []
  const several = error instanceof AggregateError ? error.errors.flatMap(codesIn) : []
  return [...own, ...several, ...codesIn(error.cause)]
}

const ofApi = (error: ApiError): string => {
  if (error.status === 401)
    return `the cluster does not take your credentials (401): log in again, or choose another --context. It says: ${error.words}`
  if (error.status === 403) return `not allowed (403): ${error.words}`
  const isAboutPath = error.status === 404 && error.subject === undefined
  if (isAboutPath && error.message.includes(`/apis/${group}/`))
    return `this cluster does not know Lamina's kinds: Lamina is not installed there, or in another version. "kubectl lamina doctor" looks closer`
  return error.words
}

/** What servers say, in clear text, to who speaks to them in clear text. */
const wantsTls = /HTTP request (?:was sent )?to (?:an )?HTTPS/i

const plainToTls = (place: string): string => {
  const [server = ''] = place.split(',', 1)
  const secure = server.replace(/^http:/, 'https:')
  return `${server} speaks https, and the kubeconfig says http: give the cluster there the server ${secure} (kubectl config set-cluster NAME --server=${secure})`
}

const wordsOf = (error: unknown): string => {
  if (error instanceof z.ZodError) return `the cluster's answer is not as it should be: ${z.prettifyError(error)}`
  if (!(error instanceof Error)) return String(error)
  const { message, cause } = error
  // Who wraps a ZodError has told what it says.
  return cause instanceof Error && !(cause instanceof z.ZodError) ? `${message}: ${cause.message}` : message
}

/** A program that could not be started, at the bottom of an error: the only ones between us and the API server give credentials. */
const missingPlugin = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return undefined
  const [, program] = 'syscall' in error ? (/^spawn(?:Sync)? (.+)$/.exec(String(error.syscall)) ?? []) : []
  return program ?? missingPlugin(error.cause)
}

/**
 * Any failure as what a person is told.
 *
 * @param place of the API server, where one has been asked
 */
export const failureOf = (error: unknown, place?: string): CliError => {
  if (error instanceof CliError) return error
  if (error instanceof ApiError && place !== undefined && wantsTls.test(error.words))
    return new CliError(plainToTls(place), { cause: error })
  if (error instanceof ApiError) return new CliError(ofApi(error), { cause: error })
  const plugin = missingPlugin(error)
  if (plugin !== undefined)
    return new CliError(
      `the kubeconfig's credential plugin "${plugin}" cannot be run: install it, or correct users[].user.exec.command`,
      { cause: error },
    )
  const code = codesIn(error).find((each) => each in networkWords)
  if (code !== undefined)
    return new CliError(`no answer from ${place ?? 'the cluster'}: ${networkWords[code]} (${code})`, { cause: error })
  if (error instanceof Error && error.cause instanceof Error && error.cause.name === 'TimeoutError')
    return new CliError(`no answer from ${place ?? 'the cluster'} within 30 s: check your network, VPN and proxy`, {
      cause: error,
    })
  return new CliError(wordsOf(error).trim() || 'it failed, and nobody said why', { cause: error })
}
