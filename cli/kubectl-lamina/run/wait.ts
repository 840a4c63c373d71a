import { setTimeout as sleep } from 'node:timers/promises'
import type { Instance } from '../../../crds/instance.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { type Standing, standingOf } from '../../../kube/instance-standing.ts'
import { pendingReason } from '../../../kube/names.ts'
import { instances } from '../../../kube/resources.ts'
import { CliError, exitCodes } from '../../shared/cli-error.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import { adviceFor } from '../doctor/advice.ts'
import { eventsAbout } from '../events.ts'
import { followUntil } from '../follow.ts'
import { menderOf } from './menders.ts'
import { createPatience } from './patience.ts'
import { podTroubleIn } from './pod-trouble.ts'
import { tellPreparation } from './preparation.ts'
import { createProgress } from './progress.ts'
import { tellUnnoticed } from './unnoticed.ts'

const notStarted = (message: string): CliError => new CliError(message, { exitCode: exitCodes.notStarted })

interface Trouble {
  reason: string
  message: string
}

/** With what to do next: a throw-away is gone by then, and no doctor looks at it any more. */
const cannotStart = ({ metadata, spec }: Instance, { reason, message }: Trouble): CliError => {
  const overlay = (spec.overlays.find(({ access }) => access === 'ReadWrite') ?? spec.overlays[0])?.name
  const advice = adviceFor(reason, { ...metadata, overlay, image: spec.imageRef.name })
  return notStarted(`instance ${metadata.name} cannot start: ${reason}: ${message}\n→ ${advice}`)
}

const isUnnoticed = (standing: Standing): boolean => standing.kind === 'waiting' && standing.reason === 'Asked'

/** Whoever names an image and an overlay may not know that the overlay lies upon another, which is what runs then. */
const tellBase = ({ metadata, status: { conditions } }: Instance, say: (line: string) => void): void => {
  const upToDate = conditionOf(conditions, 'UpToDate')
  if (upToDate?.reason === 'BaseChanged') say(`instance ${metadata.name}: ${upToDate.message}`)
}

/** Reasons whose message tells how far something is, and nothing to think about. */
const tellsProgress = new Set<string>([pendingReason, 'PreparePending', 'Resolving', 'Restarting', 'Stopping'])

const lookMs = 2_000

/** Looks from time to time, as long as somebody listens. A look that fails is none. */
const lookAgain = async (look: () => Promise<void>, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    await sleep(lookMs, undefined, { signal }).catch(() => {})
    if (!signal.aborted) await look().catch(() => {})
  }
}

/**
 * Waits until an instance runs, and tells how far it is.
 *
 * @throws CliError when it will not by itself: at once when the cluster says so, else after some patience
 */
export const waitUntilRunning = async (
  connection: Connection,
  { status, interrupts }: Pick<CommandContext, 'status' | 'interrupts'>,
  name: string,
  patience = createPatience(),
): Promise<void> => {
  const { client, namespace } = connection
  const progress = createProgress()
  const done = new AbortController()
  const show = (line: string, options: { isNews?: boolean; isReason?: boolean }): void => {
    if (!done.signal.aborted) status.show(`${name}: ${progress.words(line, performance.now())}`, options)
  }
  const noticed = tellUnnoticed((line) => show(line, { isNews: true, isReason: true }))
  /** What it says of an image the instance repeats seconds later, when there is less of it than was told already. */
  let isPreparing = false
  const tellLine = (line: string): void => {
    isPreparing = true
    show(line, {})
  }
  const preparation = tellPreparation(connection, name, tellLine, done.signal).catch(() => {})

  const meet = (instance: Instance, trouble: Trouble): void => {
    const mender = menderOf(trouble.reason)
    if (mender === 'person' || mender === 'typist') patience.wear(cannotStart(instance, trouble))
    else patience.rest()
    const isTold = isPreparing && trouble.reason === pendingReason
    const isReason = !tellsProgress.has(trouble.reason)
    if (!isTold) show(trouble.message || trouble.reason, { isNews: true, isReason })
  }
  /** The one whose pod is there and has nothing to say for itself: the kubelet may have. */
  let starting: Instance | undefined
  const askTheKubelet = async (): Promise<void> => {
    const uid = starting?.status.pod?.uid
    if (uid === undefined) return
    const trouble = podTroubleIn(await eventsAbout(client, namespace, 'Pod', name), uid)
    if (!starting || starting.status.pod?.uid !== uid || done.signal.aborted) return
    if (trouble) meet(starting, trouble)
    else patience.rest()
  }
  void lookAgain(askTheKubelet, done.signal)

  const judge = (instance: Instance | undefined): true | undefined => {
    if (!instance) throw notStarted(`instance ${name} has been deleted meanwhile`)
    const standing = standingOf(instance)
    if (!isUnnoticed(standing)) noticed()
    starting = standing.kind === 'waiting' && standing.reason === 'Starting' ? instance : undefined
    switch (standing.kind) {
      case 'running':
        tellBase(instance, status.say)
        return true
      case 'waiting':
        if (starting) show(standing.message, { isNews: true })
        else if (!isUnnoticed(standing)) meet(instance, standing)
        return undefined
      case 'hopeless':
        throw cannotStart(instance, standing)
      case 'ended':
        throw notStarted(`instance ${name} has ended (${standing.message}), so nothing runs in it any more`)
      case 'atRest':
        throw notStarted(`instance ${name} is at rest: ${standing.message || standing.reason}`)
    }
  }
  try {
    const signal = AbortSignal.any([interrupts.signal, patience.signal])
    await followUntil(client, instances, { namespace, name }, { signal, judge })
  } finally {
    noticed()
    patience.rest()
    done.abort()
    await preparation
    status.clear()
  }
}
