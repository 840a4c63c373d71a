import type { PersistentOverlay } from '../../../crds/persistent-overlay.ts'
import { conditionOf } from '../../../kube/conditions.ts'
import { parseQuantity } from '../../../kube/quantity.ts'
import { persistentOverlays } from '../../../kube/resources.ts'
import { CliError, usageError } from '../../shared/cli-error.ts'
import { oneLine } from '../../shared/printable.ts'
import type { CommandContext } from '../context.ts'
import { adviceFor } from '../doctor/advice.ts'
import { followUntil } from '../follow.ts'
import { existing } from './overlay.ts'

/** How far an overlay is on its way to another size. */
export type Resizing =
  /** Nobody has looked at the new size yet. */
  | { kind: 'unseen' }
  /** It goes on by itself. */
  | { kind: 'grows'; message: string }
  /** There is nothing more to wait for. */
  | { kind: 'settled'; message: string }
  | { kind: 'refused'; message: string }

const writerOf = ({ status }: PersistentOverlay): string =>
  status.attachments?.find(({ access }) => access === 'ReadWrite')?.instanceName ?? 'NAME'

/** @param generation of the spec that has the new size */
export const resizingOf = (overlay: PersistentOverlay, generation: number): Resizing => {
  const { metadata, status } = overlay
  if ((status.observedGeneration ?? -1) < generation) return { kind: 'unseen' }
  const ready = conditionOf(status.conditions, 'Ready')
  if (ready?.status === 'False') return { kind: 'refused', message: `${ready.reason}: ${ready.message}` }
  const resizing = conditionOf(status.conditions, 'Resizing')
  if (!resizing) return { kind: 'unseen' }
  const { reason, message } = resizing
  if (reason === 'OverlayTooSmall') return { kind: 'refused', message }
  if (reason === 'VolumeGrowing' || reason === 'FileSystemGrowing') return { kind: 'grows', message }
  if (reason !== 'RestartRequired') return { kind: 'settled', message: message || 'done' }
  const next = adviceFor(reason, { ...metadata, name: writerOf(overlay) })
  return { kind: 'settled', message: `${message}. A restart is due: ${next}` }
}

/** So long the controller has to look at it… */
const unseenMs = 15_000
/** …and volume and node to do it, or to say why not: the node looks every ten seconds, and tells a minute later at most. */
const growsMs = 75_000

const unseen = 'nobody has looked at it yet: is the controller up? "kubectl lamina doctor" tells'

export const resize = async (
  { connect, print, status, interrupts }: CommandContext,
  name: string,
  size: string,
): Promise<void> => {
  const connection = await connect()
  const { client, namespace } = connection
  const { spec } = await existing(connection, name)
  if (spec.storage.existingClaimName !== undefined)
    throw new CliError(
      `overlay ${name} lies on the claim ${spec.storage.existingClaimName}, whose size Lamina leaves alone: make another overlay, of the size that you need, and copy what is in this one`,
    )
  if (parseQuantity(size) < parseQuantity(spec.size))
    throw usageError(
      `overlay ${name} has ${spec.size}, and nothing shrinks: make a smaller one, and copy what you need`,
    )
  if (parseQuantity(size) === parseQuantity(spec.size)) return print(`overlay ${name} has ${spec.size} already\n`)
  const patched = await client.mergePatch(persistentOverlays, { namespace, name }, { spec: { size } })
  const gone = (): CliError => new CliError(`overlay ${name} has been deleted meanwhile`)
  if (!patched) throw gone()
  const late = new AbortController()
  let last = unseen
  let timer = setTimeout(() => late.abort(), unseenMs)
  const judge = (overlay: PersistentOverlay | undefined): string | undefined => {
    if (!overlay) throw gone()
    const resizing = resizingOf(overlay, patched.metadata.generation)
    if (resizing.kind === 'refused') throw new CliError(`overlay ${name}: ${resizing.message}`)
    if (resizing.kind === 'settled') return resizing.message
    if (resizing.kind === 'grows') {
      if (last === unseen) {
        clearTimeout(timer)
        timer = setTimeout(() => late.abort(), growsMs)
      }
      last = `${resizing.message}; kubectl lamina doctor overlay/${name} says how far it is, and whether a restart is due`
      status.show(`overlay ${name}: ${resizing.message}`, { isNews: true })
    }
    return undefined
  }
  const signal = AbortSignal.any([interrupts.signal, late.signal])
  const told = await followUntil(client, persistentOverlays, { namespace, name }, { signal, judge })
    .catch((error: unknown) => {
      interrupts.signal.throwIfAborted()
      if (late.signal.aborted) return last
      throw error
    })
    .finally(() => {
      clearTimeout(timer)
      status.clear()
    })
  print(`overlay ${name}: ${spec.size} → ${size}: ${oneLine(told)}\n`)
}
