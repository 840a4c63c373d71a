import type { Condition } from '../../../crds/common.ts'
import type { ContainerImage } from '../../../crds/container-image.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { containerImages } from '../../../kube/resources.ts'
import { CliError } from '../../shared/cli-error.ts'
import type { Connection } from '../connection.ts'
import type { CommandContext } from '../context.ts'
import { followUntil } from '../follow.ts'
import { menderOf } from './menders.ts'
import { createPatience } from './patience.ts'
import { tellUnnoticed } from './unnoticed.ts'

/** Of an image that is not resolved: what it says, and when that is not to be waited for. */
const untilResolved = (
  image: ContainerImage | undefined,
  tell: (ready: Condition) => void,
): ContainerImage | undefined => {
  if (!image) throw new CliError('somebody has deleted the image meanwhile')
  const { conditions, observedGeneration, resolved } = image.status
  if ((observedGeneration ?? -1) < image.metadata.generation) return undefined
  if (resolved) return image
  const ready = conditionOf(conditions, 'Ready')
  if (conditionOf(conditions, 'Stalled')?.status === 'True')
    throw new CliError(`image ${image.metadata.name}: ${ready?.reason}: ${ready?.message}`)
  if (ready) tell(ready)
  return undefined
}

/** What the message says of a spec, as a flag. */
const flagFor: Readonly<Record<string, string>> = { ImageUnauthorized: '; here: --pull-secret NAME' }

const refusal = (name: string, { reason, message }: Condition): CliError =>
  new CliError(`image ${name}: ${reason}: ${message}${flagFor[reason] ?? ''}`)

/**
 * Waits until the digest of an image is known.
 *
 * @throws CliError when it cannot be found
 */
export const waitUntilResolved = async (
  { client, namespace }: { client: Pick<Connection['client'], 'listPage' | 'watch'>; namespace: string },
  { status, interrupts }: Pick<CommandContext, 'status' | 'interrupts'>,
  name: string,
): Promise<ContainerImage> => {
  const show = (line: string, isReason: boolean): void =>
    status.show(`image ${name}: ${line}`, { isNews: true, isReason })
  const noticed = tellUnnoticed((line) => show(line, true))
  const patience = createPatience()
  const judge = (image: ContainerImage | undefined): ContainerImage | undefined =>
    untilResolved(image, (ready) => {
      noticed()
      const mender = menderOf(ready.reason)
      if (mender === 'typist') throw refusal(name, ready)
      if (mender !== 'itself') patience.wear(refusal(name, ready))
      show(ready.message || ready.reason, mender !== 'itself')
    })
  try {
    const signal = AbortSignal.any([interrupts.signal, patience.signal])
    return await followUntil(client, containerImages, { namespace, name }, { signal, judge })
  } finally {
    patience.rest()
    noticed()
  }
}

/** Deletes an image that was made a moment ago, and could not be found. */
export const discardUnresolved = async (
  { client, namespace }: Pick<Connection, 'client' | 'namespace'>,
  { status }: Pick<CommandContext, 'status'>,
  name: string,
): Promise<void> => {
  const image = await client.get(containerImages, { namespace, name })
  if (!image || image.status.resolved) return
  await client.delete(containerImages, { namespace, name }, { uid: image.metadata.uid })
  status.say(`ContainerImage ${name} deleted: it came to nothing`)
}
