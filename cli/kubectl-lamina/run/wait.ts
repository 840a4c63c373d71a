import type { Instance } from '../../../crds/instance.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { type Standing, standingOf } from '../../../kube/instance-standing.ts'
import { containers } from '../../../kube/names.ts'
import { instances } from '../../../kube/resources.ts'
import { CliError, exitCodes } from '../../shared/cli-error.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import { followUntil } from '../follow.ts'
import { getRaw, linesOf, logPath } from '../raw.ts'
import { createProgress } from './progress.ts'
import { tellUnnoticed } from './unnoticed.ts'

const notStarted = (message: string): CliError => new CliError(message, { exitCode: exitCodes.notStarted })

/** A start that is over by then needs no more words. */
const quietMs = 1_500
const againMs = 1_000

/** What the node says of its work on image and overlays, line by line, as long as somebody listens. */
const tellPreparation = async (
  connection: Connection,
  name: string,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<void> => {
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true })
    })
  const path = logPath({ namespace: connection.namespace, name }, { container: containers.prepare, follow: true })
  for (await wait(quietMs); !signal.aborted; await wait(againMs)) {
    // Until it is there; most pods have no such container, and nothing to tell.
    const body = await getRaw(connection, path, signal).catch(() => undefined)
    if (!body) continue
    for await (const line of linesOf(body)) tell(line)
    return
  }
}

const isUnnoticed = (standing: Standing): boolean => standing.kind === 'waiting' && standing.reason === 'Asked'

/** Whoever names an image and an overlay may not know that the overlay lies upon another, which is what runs then. */
const tellBase = ({ metadata, status: { conditions } }: Instance, say: (line: string) => void): void => {
  const upToDate = conditionOf(conditions, 'UpToDate')
  if (upToDate?.reason === 'BaseChanged') say(`instance ${metadata.name}: ${upToDate.message}`)
}

/**
 * Waits until an instance runs, and tells how far it is.
 *
 * @throws CliError when it will not by itself
 */
export const waitUntilRunning = async (
  connection: Connection,
  { status, interrupts }: Pick<CommandContext, 'status' | 'interrupts'>,
  name: string,
): Promise<void> => {
  const { client, namespace } = connection
  const progress = createProgress()
  const done = new AbortController()
  const show = (line: string, isNews: boolean): void => {
    if (!done.signal.aborted) status.show(`${name}: ${progress.words(line, performance.now())}`, { isNews })
  }
  const noticed = tellUnnoticed((line) => show(line, true))
  const preparation = tellPreparation(connection, name, (line) => show(line, false), done.signal).catch(() => {})
  try {
    await followUntil(
      client,
      instances,
      { namespace, name },
      {
        signal: interrupts.signal,
        judge: (instance) => {
          if (!instance) throw notStarted(`instance ${name} has been deleted meanwhile`)
          const standing = standingOf(instance)
          if (!isUnnoticed(standing)) noticed()
          switch (standing.kind) {
            case 'running':
              tellBase(instance, status.say)
              return true
            case 'waiting':
              if (!isUnnoticed(standing)) show(standing.message || standing.reason, true)
              return undefined
            case 'hopeless':
              throw notStarted(`instance ${name} cannot start: ${standing.reason}: ${standing.message}`)
            case 'ended':
              throw notStarted(`instance ${name} has ended (${standing.message}), so nothing runs in it any more`)
            case 'atRest':
              throw notStarted(`instance ${name} is at rest: ${standing.message || standing.reason}`)
          }
        },
      },
    )
  } finally {
    noticed()
    done.abort()
    await preparation
    status.clear()
  }
}
