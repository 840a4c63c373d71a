import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { credentials, type Remote, skopeo } from './inspect.ts'
import { formatReference } from './reference.ts'

/**
 * The signature policy, containers-policy.json(5). skopeo keeps to it when it
 * copies, which is how nodes fetch; when it inspects, it does not ask.
 */

const requirements = z.array(z.object({ type: z.string() }))
const policySchema = z.object({
  default: requirements,
  transports: z.record(z.string(), z.record(z.string(), requirements)).default({}),
})

const firstOf = async (paths: readonly string[]): Promise<string | undefined> => {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => undefined)
    if (text !== undefined) return text
  }
  return undefined
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether it lets everything in; skopeo itself tells what is wrong with one that cannot be read. */
const isOpen = async (): Promise<boolean> => {
  // Where skopeo looks, in its order.
  const paths = [join(process.env.HOME ?? '/', '.config/containers/policy.json'), '/etc/containers/policy.json']
  const { data } = policySchema.safeParse(parseJson((await firstOf(paths)) ?? ''))
  if (!data) return false
  const scopes = [data.default, ...Object.values(data.transports).flatMap((each) => Object.values(each))]
  return scopes.flat().every(({ type }) => type === 'insecureAcceptAnything')
}

const checkSeconds = 30

/**
 * Whether nodes would be let fetch the image, without fetching it: skopeo is ended
 * as soon as it says that it begins to copy, which it does after it has asked.
 *
 * @throws RegistryError of kind `Refused`, among others
 */
export const assertAllowed = async (remote: Remote, signal: AbortSignal): Promise<void> => {
  if (await isOpen()) return
  const dir = await mkdtemp(join(remote.access.scratchDir, 'policy-'))
  const begun = new AbortController()
  const { reference, access } = remote
  const args = ['copy', ...credentials(access, '--src-'), `docker://${formatReference(reference)}`, `dir:${dir}/image`]
  try {
    await skopeo(remote, args, {
      signal: AbortSignal.any([signal, begun.signal]),
      seconds: checkSeconds,
      onOutput: () => begun.abort(),
    })
  } catch (error) {
    signal.throwIfAborted()
    if (!begun.signal.aborted) throw error
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
