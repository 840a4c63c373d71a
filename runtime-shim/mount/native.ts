import { ForeignFormError, foreignForms } from './foreign.ts'
import { OverlayDamagedError, OverlayError, type OverlaySource } from './parts.ts'

/** What to do about a layer that may not be used as it is. */
interface Remedy {
  /** Where it has forms of another tool. */
  foreign: string
  /** Where it cannot be looked through while a container starts. */
  unknown: string
}

/** For a writer's upper layer without a record of ours: the agent is told, and has it imported. */
export const importFirst: Remedy = {
  foreign: 'the node agent is to convert it',
  unknown: 'the node agent is to look through it',
}

/** For a reader's upper layer without a record of ours. */
export const importIt: Remedy = {
  foreign: 'the node agent converts it when an instance starts that has the overlay ReadWrite',
  unknown:
    'start an instance that has the overlay ReadWrite: the node agent then looks through it, once, before the container starts',
}

/** For what is only read. */
export const writeItAgain: Remedy = {
  foreign: 'write it again through a mount by the kernel, or bring it as an ext3 image, which is converted',
  unknown: 'bring it as an ext3 image, which is looked through once, before the container starts',
}

export interface Layer {
  name: string
  /** Who writes to it: then it is imported before the next start, as one that is damaged is checked. */
  writer?: OverlaySource
  remedy: Remedy
  /** False for file systems that are known to hold no extended attributes. */
  xattrs?: boolean
  /** By `performance.now()`, when it must have been looked through. */
  deadline: number
}

const refusal = ({ name, writer }: Layer, words: string, options?: ErrorOptions): OverlayError =>
  writer ? new OverlayDamagedError(writer, `it ${words}`, options) : new OverlayError(`${name} ${words}`, options)

/**
 * Sees that the layer open at `top` has no forms of another tool: what that has
 * deleted would come back, and nobody would know.
 *
 * @throws OverlayError
 * @throws OverlayDamagedError for a writer
 */
export const assertNative = (top: number, layer: Layer): void => {
  const { remedy, xattrs = true, deadline } = layer
  try {
    const [found] = foreignForms(top, { xattrs, deadline })
    if (!found) return
    throw refusal(
      layer,
      `was written by another tool, in forms that the kernel's overlayfs does not know: ${found.path} is ${found.what}; ${remedy.foreign}`,
    )
  } catch (cause) {
    if (!(cause instanceof ForeignFormError)) throw cause
    throw refusal(layer, `may have been written by another tool, and ${cause.message}; ${remedy.unknown}`, { cause })
  }
}
